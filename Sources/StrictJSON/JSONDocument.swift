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

  /// One value. Children of a container are linked by `next`, so nothing is nested in memory and
  /// nothing recurses, neither while parsing nor when the document is freed.
  struct Node: Sendable {
    var kind: JSONKind
    /// Bytes of the value in the text, quotes and brackets included.
    var range: Range<Int>
    /// The decoded string, or a number's text; empty otherwise.
    var text: String
    /// Key of this value in its object.
    var key: String
    var firstChild: Int
    var next: Int
    var count: Int
  }

  let nodes: [Node]

  /// The whole text's value.
  public var root: JSONValue { JSONValue(document: self, index: 0) }

  /// Parses `bytes`, all of them.
  public init(parsing bytes: Span<UInt8>) throws(JSONError) {
    var parser = JSONParser()
    try parser.parse(bytes)
    nodes = parser.nodes
  }

  /// Parses an array of bytes and says of which file in an error.
  public init(_ bytes: [UInt8], path: String? = nil) throws(JSONError) {
    do throws(JSONError) {
      try self.init(parsing: bytes.span)
    } catch {
      throw path.map { error.located(in: $0) } ?? error
    }
  }
}

public enum JSONKind: String, Sendable {
  case object, array, string, number, bool, null
}

/// One value of a document, with accessors that never convert between types.
public struct JSONValue: Sendable {
  let document: JSONDocument
  let index: Int

  var node: JSONDocument.Node { document.nodes[index] }

  public var kind: JSONKind { node.kind }

  /// Where the value stands in the text.
  public var byteRange: Range<Int> { node.range }

  /// Number of members or elements.
  public var count: Int { node.count }

  public var isNull: Bool { kind == .null }

  /// Members of an object in the order of the text, elements of an array; empty for others.
  public var children: Children { Children(document: document, current: node.firstChild) }

  /// The text of a string.
  public var string: String? { kind == .string ? node.text : nil }

  public var bool: Bool? { kind == .bool ? node.text == "true" : nil }

  /// A number written as an integer that fits; nil for `2.0`, `1e3`, `true` and others.
  public var integer: Int? { kind == .number ? Int(node.text) : nil }

  /// A number; nil where it would be infinite.
  public var double: Double? {
    guard kind == .number, let value = Double(node.text), value.isFinite else { return nil }
    return value
  }

  /// A number exactly as written.
  public var numberText: String? { kind == .number ? node.text : nil }

  /// The member `key` of an object, nil where there is none.
  public subscript(key: String) -> JSONValue? {
    for (name, value) in children where name == key { return value }
    return nil
  }

  /// Key and value of each child, the key being empty in arrays.
  public struct Children: Sequence, IteratorProtocol, Sendable {
    let document: JSONDocument
    var current: Int

    public mutating func next() -> (key: String, value: JSONValue)? {
      guard current >= 0 else { return nil }
      let value = JSONValue(document: document, index: current)
      current = document.nodes[value.index].next
      return (value.node.key, value)
    }
  }
}
