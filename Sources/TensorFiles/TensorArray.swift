import ByteIO

/// A small tensor read whole: elements in C order, little-endian.
public struct TensorArray: Sendable, Hashable {
  public let scalar: ScalarType
  public let shape: [Int]
  /// `count * byteWidth` bytes.
  public let bytes: [UInt8]

  public init(scalar: ScalarType, shape: [Int], bytes: [UInt8]) {
    precondition(shape.checkedProduct().map { $0 * scalar.bitWidth == bytes.count * 8 } ?? false)
    self.scalar = scalar
    self.shape = shape
    self.bytes = bytes
  }

  /// Number of elements.
  public var count: Int { bytes.count * 8 / scalar.bitWidth }
}
