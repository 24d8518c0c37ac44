import ByteIO
import Testing

@Suite("Byte cursor and writer")
struct ByteCursorTests {
  @Test("little-endian values in order")
  func reading() {
    let bytes: [UInt8] = [1, 2, 0, 3, 0, 0, 0x80, 4, 0, 0, 0, 0, 0, 0, 0xFF, 9, 8]
    var cursor = ByteCursor()
    #expect(cursor.uint8(in: bytes.span) == 1)
    #expect(cursor.uint16(in: bytes.span) == 2)
    #expect(cursor.uint32(in: bytes.span) == 0x8000_0003)
    #expect(cursor.uint64(in: bytes.span) == 0xFF00_0000_0000_0004)
    #expect(cursor.bytes(2, in: bytes.span) == [9, 8])
    #expect(cursor.uint8(in: bytes.span) == nil)
  }

  @Test("a read that does not fit leaves the cursor where it was", arguments: 0..<8)
  func shortage(count: Int) {
    let bytes = [UInt8](repeating: 7, count: count)
    var cursor = ByteCursor()
    #expect(cursor.uint64(in: bytes.span) == nil)
    #expect(cursor.range(count + 1, in: bytes.span) == nil)
    #expect(cursor.range(-1, in: bytes.span) == nil)
    #expect(cursor.range(Int.max, in: bytes.span) == nil)
    #expect(cursor.offset == 0)
  }

  @Test("what is written reads back, padding is zero")
  func writing() {
    var writer = ByteWriter()
    writer.append(UInt16(0x1234))
    writer.pad(to: 8)
    writer.append(UInt64.max - 1)
    writer.overwrite(at: 2, with: UInt32(0xAABB_CCDD))
    var cursor = ByteCursor()
    #expect(cursor.uint16(in: writer.bytes.span) == 0x1234)
    #expect(cursor.uint32(in: writer.bytes.span) == 0xAABB_CCDD)
    #expect(cursor.uint16(in: writer.bytes.span) == 0)
    #expect(cursor.uint64(in: writer.bytes.span) == UInt64.max - 1)
  }

  @Test("products know their limits whatever the order of a zero")
  func products() {
    #expect([2, 3, 7].checkedProduct() == 42)
    #expect([Int]().checkedProduct() == 1)
    #expect([0, Int.max, Int.max].checkedProduct() == nil)
    #expect([Int.max, Int.max, 0].checkedProduct() == nil)
    #expect([0, 5].checkedProduct() == 0)
  }

  @Test("text of strangers cannot steer a terminal")
  func escaping() {
    #expect(escaped("a\u{1B}[2J\n\u{202E}b\\") == "a\\u{1b}[2J\\u{a}\\u{202e}b\\\\")
    #expect(escaped(String(repeating: "x", count: 300)).utf8.count == 203)
    #expect(quoted("é") == "\"é\"")
  }
}
