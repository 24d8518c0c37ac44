/// Little-endian bytes under construction.
public struct ByteWriter: Sendable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public var count: Int { bytes.count }

  public mutating func append(_ value: some FixedWidthInteger) {
    var rest = value
    for _ in 0..<MemoryLayout.size(ofValue: value) {
      bytes.append(UInt8(truncatingIfNeeded: rest))
      rest >>= 8
    }
  }

  public mutating func append(contentsOf more: some Sequence<UInt8>) {
    bytes.append(contentsOf: more)
  }

  /// Writes `value` over the bytes at `offset`, which exist already.
  public mutating func overwrite(at offset: Int, with value: some FixedWidthInteger) {
    var rest = value
    for index in 0..<MemoryLayout.size(ofValue: value) {
      bytes[offset + index] = UInt8(truncatingIfNeeded: rest)
      rest >>= 8
    }
  }

  /// Appends zeros up to the next multiple of `alignment`.
  public mutating func pad(to alignment: Int) {
    while !bytes.count.isMultiple(of: alignment) { bytes.append(0) }
  }
}
