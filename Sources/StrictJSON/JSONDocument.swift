public import ByteIO

/// A JSON text, parsed strictly after RFC 8259 into one flat arena.
///
/// Strict means: UTF-8 without byte-order mark, one value, no duplicate keys once escapes are
/// resolved, no lone surrogates, nesting of at most `depthLimit`. Foundation's readers accept more
/// and disagree with each other about duplicates; a file that two readers understand differently is
/// refused here. Numbers stay text until someone asks for a type.
public struct JSONDocument: Sendable {
  /// Deepest nesting of arrays and objects.
  public static let depthLimit = 64

  /// Most values of a text of `bytes` bytes.
  ///
  /// A value takes 16 bytes of memory, a key 16 more while its object is parsed, and both together
  /// as little as six of text: the densest texts are refused before they grow by 64 MiB. What models
  /// ship has a value in ten bytes.
  public static func valueLimit(bytes: Int) -> Int { min(1024 + bytes / 6, 1_400_000) }

  /// One value. Values stand in the order of the text, a container right before its first child, and
  /// children are linked by `next`: so nothing is nested in memory and nothing recurses, neither
  /// while parsing nor when the document is freed. Text stays where it is and is decoded when asked
  /// for; its first byte tells the kind.
  struct Node: Sendable {
    /// Bytes of the value in the text, quotes and brackets included.
    var start: UInt32
    var end: UInt32
    /// Where the key of this value in its object begins, at its opening quote.
    var key: UInt32
    /// The next child of the same container, 0 for the last: the root is no one's child.
    var next: UInt32
  }

  let bytes: [UInt8]
  let nodes: [Node]

  /// The whole text's value.
  public var root: JSONValue { JSONValue(document: self, index: 0) }

  /// Parses a copy of `bytes`, all of them.
  public init(parsing bytes: Span<UInt8>, valueLimit: Int? = nil) throws(JSONError) {
    try self.init(bytes.copy(0..<bytes.count), valueLimit: valueLimit)
  }

  /// Parses all of `bytes` and says of which file in an error. A `valueLimit` takes the place of
  /// the usual one, for formats that consist of short values; a `combiningLimit` is for readers that
  /// neither hash nor compare a `String` of the text.
  public init(
    _ bytes: [UInt8], path: String? = nil, valueLimit: Int? = nil,
    combiningLimit: Int = combiningRunLimit
  ) throws(JSONError) {
    var parser = JSONParser(
      valueLimit: valueLimit ?? Self.valueLimit(bytes: bytes.count), combiningLimit: combiningLimit)
    do throws(JSONError) {
      try Self.checkLength(bytes.count)
      try parser.parse(bytes.span)
    } catch {
      throw path.map { error.located(in: $0) } ?? error
    }
    self.bytes = bytes
    nodes = parser.nodes
  }

  /// Nodes keep places in the text as 32-bit numbers.
  static func checkLength(_ count: Int) throws(JSONError) {
    guard UInt32(exactly: count) != nil else {
      throw JSONError(.tooLarge, "JSON of \(count) bytes, the limit is \(UInt32.max)")
    }
  }

  /// The string whose opening quote is at `start`, escapes resolved. It has been checked.
  func string(at start: Int) -> String {
    var scanner = JSONStringScanner(offset: start)
    return (try? scanner.string(in: bytes.span)) ?? ""
  }

  /// Appends what the string says whose opening quote is at `start`. It has been checked.
  func appendUTF8(at start: Int, to text: inout [UInt8]) {
    var scanner = JSONStringScanner(offset: start)
    try? scanner.utf8(in: bytes.span, into: &text)
  }

  /// Whether the string at `start` is `text`, byte for byte; plain strings are compared where they
  /// stand. To `String`, other spellings are equal as well, such as the Kelvin sign and K.
  func isString(at start: Int, equalTo text: String) -> Bool {
    let span = bytes.span
    var offset = start + 1
    for byte in text.utf8 {
      guard offset < span.count, span[offset] == byte, byte != 0x5C, byte != 0x22 else {
        return span[min(offset, span.count - 1)] == 0x5C
          && string(at: start).utf8.elementsEqual(text.utf8)
      }
      offset += 1
    }
    return span[offset] == 0x22
  }
}

public enum JSONKind: String, Sendable {
  case object, array, string, number, bool, null

  /// The kind of a value that begins with `byte`.
  init(firstByte byte: UInt8) {
    switch byte {
    case 0x7B: self = .object
    case 0x5B: self = .array
    case 0x22: self = .string
    case 0x74, 0x66: self = .bool
    case 0x6E: self = .null
    default: self = .number
    }
  }
}

/// One value of a document, with accessors that never convert between types.
public struct JSONValue: Sendable {
  let document: JSONDocument
  let index: Int

  var node: JSONDocument.Node { document.nodes[index] }

  public var kind: JSONKind { JSONKind(firstByte: document.bytes[Int(node.start)]) }

  /// Index of the first child, nil of an empty container and of a scalar.
  private var firstChild: Int? {
    let child = index + 1
    guard child < document.nodes.count, document.nodes[child].start < node.end else { return nil }
    return child
  }

  /// Where the value stands in the text.
  public var byteRange: Range<Int> { Int(node.start)..<Int(node.end) }

  /// Number of members or elements, counted.
  public var count: Int {
    guard var child = firstChild else { return 0 }
    var count = 1
    while document.nodes[child].next > 0 {
      count += 1
      child = Int(document.nodes[child].next)
    }
    return count
  }

  public var isNull: Bool { kind == .null }

  /// Members of an object in the order of the text, elements of an array; empty for others.
  public var children: Children {
    Children(document: document, isObject: kind == .object, current: firstChild)
  }

  /// The text of a string.
  public var string: String? {
    kind == .string ? document.string(at: Int(node.start)) : nil
  }

  public var bool: Bool? { kind == .bool ? document.bytes[Int(node.start)] == 0x74 : nil }

  /// Appends the UTF-8 of a string, escapes resolved; false for other kinds.
  public func appendUTF8(to text: inout [UInt8]) -> Bool {
    guard kind == .string else { return false }
    document.appendUTF8(at: Int(node.start), to: &text)
    return true
  }

  /// No fewer bytes than the key of this member has in the text.
  public var keyBytes: Int { node.key > 0 ? Int(node.start - node.key) : 0 }

  /// Appends the UTF-8 of the key of this member, escapes resolved; nothing for an element.
  public func appendKey(to text: inout [UInt8]) {
    // no key begins the text
    if node.key > 0 { document.appendUTF8(at: Int(node.key), to: &text) }
  }

  /// A number written as an integer that fits; nil for `2.0`, `1e3`, `true` and others.
  public var integer: Int? { numberText.flatMap { Int($0) } }

  /// A number; nil where it would be infinite.
  public var double: Double? {
    guard let value = numberText.flatMap({ Double($0) }), value.isFinite else { return nil }
    return value
  }

  /// A number exactly as written.
  public var numberText: String? {
    guard kind == .number else { return nil }
    return String(decoding: document.bytes[byteRange], as: UTF8.self)
  }

  /// The member `key` of an object, nil where there is none.
  public subscript(key: String) -> JSONValue? {
    guard kind == .object, var child = firstChild else { return nil }
    while true {
      let member = document.nodes[child]
      if document.isString(at: Int(member.key), equalTo: key) {
        return JSONValue(document: document, index: child)
      }
      guard member.next > 0 else { return nil }
      child = Int(member.next)
    }
  }

  /// Values of an object's members and elements of an array, in the order of the text, without a
  /// look at the keys.
  public var values: Values { Values(document: document, current: firstChild) }

  /// Each child of a container.
  public struct Values: Sequence, IteratorProtocol, Sendable {
    let document: JSONDocument
    var current: Int?

    public mutating func next() -> JSONValue? {
      guard let index = current else { return nil }
      let next = document.nodes[index].next
      current = next > 0 ? Int(next) : nil
      return JSONValue(document: document, index: index)
    }
  }

  /// Key and value of each child, the key being empty in arrays.
  public struct Children: Sequence, IteratorProtocol, Sendable {
    let document: JSONDocument
    let isObject: Bool
    var current: Int?

    public mutating func next() -> (key: String, value: JSONValue)? {
      guard let index = current else { return nil }
      let value = JSONValue(document: document, index: index)
      current = value.node.next > 0 ? Int(value.node.next) : nil
      return (isObject ? document.string(at: Int(value.node.key)) : "", value)
    }
  }
}
