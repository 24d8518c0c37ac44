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

extension TensorArray {
  /// The elements of an integer tensor; nil for other types and for values past 2^63.
  public var integers: [Int]? {
    let span = bytes.span
    func elements<Stored: FixedWidthInteger>(_: Stored.Type) -> [Int]? {
      var result: [Int] = []
      result.reserveCapacity(count)
      for index in 0..<count {
        let stored: Stored = span.littleEndian(at: index * MemoryLayout<Stored>.size)
        guard let value = Int(exactly: stored) else { return nil }
        result.append(value)
      }
      return result
    }
    switch scalar {
    case .u8: return elements(UInt8.self)
    case .i8: return elements(Int8.self)
    case .u16: return elements(UInt16.self)
    case .i16: return elements(Int16.self)
    case .u32: return elements(UInt32.self)
    case .i32: return elements(Int32.self)
    case .u64: return elements(UInt64.self)
    case .i64: return elements(Int64.self)
    default: return nil
    }
  }
}
