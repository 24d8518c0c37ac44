public import ByteIO
import LeanKMask
import Zstd

public typealias FormatError = Diagnostic<FormatCode>

/// Ways in which a `.leank` file is refused; the names are the rows of the specification's table.
public struct FormatCode: DiagnosticCode {
  public let rawValue: String
  public let failureClass: FailureClass

  public init?(rawValue: String) {
    guard let known = Self.all.first(where: { $0.rawValue == rawValue }) else { return nil }
    self = known
  }

  private init(_ rawValue: String, _ failureClass: FailureClass = .malformed) {
    self.rawValue = rawValue
    self.failureClass = failureClass
  }

  /// The file is something else.
  public static let signature = Self("signature")
  /// A transfer converted line ends or stripped bits.
  public static let transferDamage = Self("transfer_damage")
  public static let majorVersion = Self("major_version", .unsupported)
  public static let truncated = Self("truncated")
  public static let trailingBytes = Self("trailing_bytes")
  public static let headerChecksum = Self("header_checksum")
  public static let headerSize = Self("header_size")
  public static let limit = Self("limit", .limitExceeded)

  public static let tableChecksum = Self("table_checksum")
  public static let sectionTag = Self("section_tag")
  public static let sectionFlags = Self("section_flags")
  public static let unknownCriticalSection = Self("unknown_critical_section", .unsupported)
  public static let codec = Self("codec", .unsupported)
  public static let reserved = Self("reserved")
  public static let sectionOrder = Self("section_order")
  public static let missingSection = Self("missing_section")
  /// A section of a mask that is not there.
  public static let instance = Self("instance")
  public static let redundantSection = Self("redundant_section")
  public static let sectionLength = Self("section_length")
  public static let sectionLayout = Self("section_layout")
  public static let padding = Self("padding")
  public static let sectionChecksum = Self("section_checksum")
  public static let sectionDigest = Self("section_digest")
  public static let zstdFrame = Self("zstd_frame")
  public static let contentID = Self("content_id")
  public static let name = Self("name")

  /// A field holds a value that this version does not define.
  public static let unknownValue = Self("unknown_value", .unsupported)
  public static let geometry = Self("geometry")
  public static let maskBits = Self("mask_bits")
  public static let alignment = Self("alignment")
  public static let scores = Self("scores")
  public static let deployment = Self("deployment")
  public static let provenance = Self("provenance")

  /// Every code.
  public static let all: [FormatCode] = [
    signature, transferDamage, majorVersion, truncated, trailingBytes, headerChecksum, headerSize,
    limit, tableChecksum, sectionTag, sectionFlags, unknownCriticalSection, codec, reserved,
    sectionOrder, missingSection, instance, redundantSection, sectionLength, sectionLayout, padding,
    sectionChecksum, sectionDigest, zstdFrame, contentID, name, unknownValue, geometry, maskBits,
    alignment, scores, deployment, provenance,
  ]
}

extension FormatError {
  /// A refused frame of the section `tag`, which is stored at `offset`.
  init(_ error: ZstdError, tag: SectionTag, offset: Int) {
    let isMalformed = error.failureClass == .malformed
    self.init(
      isMalformed ? .zstdFrame : .limit, "section \(tag): \(error.detail)", at: .byte(offset))
  }

  /// A value that the mask model refuses, met in the section that `code` stands for.
  init(_ code: FormatCode, _ error: MaskError) { self.init(code, error.description) }
}
