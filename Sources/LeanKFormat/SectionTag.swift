/// Four characters that name a section: an upper-case letter, then letters or digits.
public struct SectionTag: Sendable, Hashable, CustomStringConvertible {
  /// The characters, the first one lowest.
  let code: UInt32

  init(code: UInt32) { self.code = code }

  private init(_ text: StaticString) {
    code = "\(text)".utf8.reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  static let geometry = SectionTag("GEOM")
  static let mask = SectionTag("MASK")
  static let alignment = SectionTag("ALGN")
  static let scores = SectionTag("SCOR")
  static let deployment = SectionTag("DEPL")
  static let provenance = SectionTag("PROV")

  /// The sections of version 1.0 in the order in which they stand in a file.
  static let known: [SectionTag] = [geometry, mask, alignment, scores, deployment, provenance]

  var characters: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: code >> (8 * $0)) } }

  var isLegal: Bool {
    characters.enumerated().allSatisfy { index, character in
      (0x41...0x5A).contains(character) || index > 0 && (0x30...0x39).contains(character)
    }
  }

  var isKnown: Bool { Self.known.contains(self) }

  /// Whether the main mask's section serves the masks that have none of their own.
  var isShared: Bool { self == .scores || self == .provenance }

  /// The first place at or behind `position` where the section may begin.
  func aligned(_ position: Int) -> Int {
    let unit = self == .scores ? ScoresSection.alignment : 8
    return (position + unit - 1) / unit * unit
  }

  /// Where the section belongs: known ones in their order, then the others by their characters.
  var rank: UInt64 {
    guard let index = Self.known.firstIndex(of: self) else {
      return 1 << 32 | UInt64(code.byteSwapped)
    }
    return UInt64(index)
  }

  /// The tag's text; only a legal tag is printed as it stands.
  public var description: String {
    guard isLegal else { return "0x" + String(code.byteSwapped, radix: 16) }
    return String(decoding: characters, as: UTF8.self)
  }
}

/// What a reader that does not know a section may do with it.
struct SectionFlags: OptionSet, Sendable, Hashable {
  let rawValue: UInt8

  /// The file means nothing without it.
  static let critical = SectionFlags(rawValue: 1)
  /// A rewrite that leaves the mask alone may carry it along.
  static let safeToCopy = SectionFlags(rawValue: 2)

  /// The flags that version 1.0 gives to its own sections.
  static func required(for tag: SectionTag) -> SectionFlags {
    tag == .geometry || tag == .mask ? .critical : .safeToCopy
  }
}

/// How a section's bytes are stored.
public enum SectionCodec: UInt8, Sendable, Hashable {
  case raw = 0
  case zstd = 1
}

/// One row of a file's section table.
public struct SectionSummary: Sendable, Hashable {
  public let tag: String
  /// The mask that the section belongs to.
  public let instance: Int
  public let isKnown: Bool
  public let isCritical: Bool
  public let isSafeToCopy: Bool
  public let codec: SectionCodec
  /// Bytes in the file.
  public let storedLength: Int
  /// Bytes once decompressed.
  public let rawLength: Int
  /// SHA-256 of the uncompressed bytes, 64 lower-case hexadecimal digits.
  public let contentDigest: String

  init(_ entry: SectionEntry) {
    tag = entry.tag.description
    instance = entry.instance
    isKnown = entry.tag.isKnown
    isCritical = entry.flags.contains(.critical)
    isSafeToCopy = entry.flags.contains(.safeToCopy)
    codec = entry.codec
    storedLength = entry.storedLength
    rawLength = entry.rawLength
    contentDigest = ContentID(bytes: entry.digest).hex
  }
}

/// A section that this version does not define, or that has a value it does not define: decompressed,
/// verified, and kept.
public struct OpaqueSection: Sendable, Hashable {
  let tag: SectionTag
  let flags: SectionFlags
  /// The mask that the section belongs to.
  public let instance: Int
  public let bytes: [UInt8]

  /// The section's tag, four ASCII characters.
  public var name: String { tag.description }

  /// Whether a rewrite that leaves the mask alone may carry it along.
  public var isSafeToCopy: Bool { flags.contains(.safeToCopy) }
}
