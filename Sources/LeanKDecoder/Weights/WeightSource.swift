public import ByteIO
public import TensorFiles

/// Where the decoder finds a checkpoint's tensors: a directory of shards, or memory.
public protocol WeightSource: Sendable {
  /// Type and shape of `name`; nil when there is no such tensor.
  func tensor(named name: String) -> WeightInfo?

  /// Fills `buffer` with the elements of `name` from index `first` on, in C order, little-endian.
  func read(
    _ name: String, from first: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DecoderError)

  /// Told ahead of time that `names` will be read soon.
  func willRead(_ names: [String])
}

extension WeightSource {
  public func willRead(_ names: [String]) {}
}

/// What a tensor is, without its elements.
public struct WeightInfo: Sendable, Hashable {
  public let scalar: ScalarType
  public let shape: [Int]

  public init(scalar: ScalarType, shape: [Int]) {
    self.scalar = scalar
    self.shape = shape
  }
}
