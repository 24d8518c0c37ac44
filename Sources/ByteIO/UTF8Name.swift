/// A name of a tensor, file or key, compared by its UTF-8 bytes.
///
/// `String` compares by canonical equivalence: K and the Kelvin sign, or the two spellings of an
/// accented letter, are equal to it. To file formats and file systems they are different names.
public struct UTF8Name: Sendable, Hashable, Comparable {
  public let text: String

  public init(_ text: String) { self.text = text }

  public static func == (left: Self, right: Self) -> Bool {
    left.text.utf8.elementsEqual(right.text.utf8)
  }

  /// Order of the bytes, which is that of the Unicode scalars.
  public static func < (left: Self, right: Self) -> Bool {
    left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }

  public func hash(into hasher: inout Hasher) {
    unsafe text.utf8.span.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    hasher.combine(text.utf8.count)
  }
}

extension UTF8Name: ExpressibleByStringLiteral, CustomStringConvertible {
  public init(stringLiteral text: String) { self.init(text) }

  public var description: String { text }
}

extension String {
  /// Whether the first bytes are those of `prefix`.
  public func hasBytes(prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }

  /// Whether the last bytes are those of `suffix`.
  public func hasBytes(suffix: String) -> Bool {
    utf8.reversed().starts(with: suffix.utf8.reversed())
  }
}
