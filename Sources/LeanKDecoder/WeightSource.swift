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

/// A matrix of weights in the type it is stored in.
struct WeightMatrix: Sendable {
  let name: String
  let element: Kernels.Element
  let rows: Int
  let columns: Int
  /// `rows * columns` elements, row after row.
  let bytes: AlignedBytes

  /// The elements as f32.
  func widened(_ range: Range<Int>) -> [Float] {
    bytes.withSpan { bytes in
      Kernels.best.widen(
        bytes.extracting(range.lowerBound * element.width..<range.upperBound * element.width),
        element)
    }
  }
}
