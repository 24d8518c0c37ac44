/// A read position in little-endian bytes that the caller holds.
///
/// The cursor keeps only an offset: the bytes stay with their owner and are lent for each read. A
/// read that does not fit returns nil and leaves the cursor where it was.
public struct ByteCursor: Sendable {
  public private(set) var offset: Int

  public init(at offset: Int = 0) {
    precondition(offset >= 0)
    self.offset = offset
  }

  public mutating func uint8(in bytes: Span<UInt8>) -> UInt8? {
    guard offset < bytes.count else { return nil }
    defer { offset += 1 }
    return bytes[offset]
  }

  public mutating func uint16(in bytes: Span<UInt8>) -> UInt16? { integer(in: bytes) }
  public mutating func uint32(in bytes: Span<UInt8>) -> UInt32? { integer(in: bytes) }
  public mutating func uint64(in bytes: Span<UInt8>) -> UInt64? { integer(in: bytes) }

  /// The next `count` bytes, copied.
  public mutating func bytes(_ count: Int, in bytes: Span<UInt8>) -> [UInt8]? {
    guard let range = range(count, in: bytes) else { return nil }
    return bytes.copy(range)
  }

  /// The range of the next `count` bytes, which the cursor then has passed.
  public mutating func range(_ count: Int, in bytes: Span<UInt8>) -> Range<Int>? {
    guard count >= 0, offset <= bytes.count, count <= bytes.count - offset else { return nil }
    defer { offset += count }
    return offset..<offset + count
  }

  private mutating func integer<Value: FixedWidthInteger>(in bytes: Span<UInt8>) -> Value? {
    guard let range = range(MemoryLayout<Value>.size, in: bytes) else { return nil }
    return bytes.littleEndian(at: range.lowerBound)
  }
}

extension Span<UInt8> {
  /// The integer whose lowest byte is at `offset`; the caller has checked that it fits.
  public func littleEndian<Value: FixedWidthInteger>(at offset: Int) -> Value {
    var value: Value = 0
    for index in (0..<MemoryLayout<Value>.size).reversed() {
      value = value << 8 | Value(truncatingIfNeeded: self[offset + index])
    }
    return value
  }

  /// The bytes of `range`, copied into an array.
  public func copy(_ range: Range<Int>) -> [UInt8] {
    precondition(range.upperBound <= count)
    return unsafe [UInt8](unsafeUninitializedCapacity: range.count) { buffer, initialized in
      unsafe self.extracting(range).withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(buffer).copyMemory(from: source)
      }
      initialized = range.count
    }
  }

  /// Whether `prefix` stands at `offset`.
  public func starts(with prefix: [UInt8], at offset: Int = 0) -> Bool {
    guard offset >= 0, offset <= count, prefix.count <= count - offset else { return false }
    for index in prefix.indices where self[offset + index] != prefix[index] { return false }
    return true
  }
}
