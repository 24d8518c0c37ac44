public import ByteIO
import LeanKMask
import Zstd

public typealias FormatError = Diagnostic<FormatDomain>
public typealias FormatCode = DiagnosticCode<FormatDomain>

/// Ways in which a `.leank` file is refused; the names are the rows of the specification's table.
public enum FormatDomain {}

extension FormatCode {
  /// The file is something else.
  public static var signature: Self { Self("signature") }
  /// A transfer converted line ends or stripped bits.
  public static var transferDamage: Self { Self("transfer_damage") }
  public static var majorVersion: Self { Self("major_version", .unsupported) }
  public static var truncated: Self { Self("truncated") }
  public static var trailingBytes: Self { Self("trailing_bytes") }
  public static var headerChecksum: Self { Self("header_checksum") }
  public static var headerSize: Self { Self("header_size") }
  public static var limit: Self { Self("limit", .limitExceeded) }

  public static var tableChecksum: Self { Self("table_checksum") }
  public static var sectionTag: Self { Self("section_tag") }
  public static var sectionFlags: Self { Self("section_flags") }
  public static var unknownCriticalSection: Self { Self("unknown_critical_section", .unsupported) }
  public static var codec: Self { Self("codec", .unsupported) }
  public static var reserved: Self { Self("reserved") }
  public static var sectionOrder: Self { Self("section_order") }
  public static var missingSection: Self { Self("missing_section") }
  public static var sectionLength: Self { Self("section_length") }
  public static var sectionLayout: Self { Self("section_layout") }
  public static var padding: Self { Self("padding") }
  public static var sectionChecksum: Self { Self("section_checksum") }
  public static var zstdFrame: Self { Self("zstd_frame") }
  public static var contentID: Self { Self("content_id") }

  /// A field holds a value that this version does not define.
  public static var unknownValue: Self { Self("unknown_value", .unsupported) }
  public static var geometry: Self { Self("geometry") }
  public static var maskBits: Self { Self("mask_bits") }
  public static var alignment: Self { Self("alignment") }
  public static var scores: Self { Self("scores") }
  public static var deployment: Self { Self("deployment") }
  public static var provenance: Self { Self("provenance") }

  /// Every code.
  public static var all: [FormatCode] {
    [
      signature, transferDamage, majorVersion, truncated, trailingBytes, headerChecksum, headerSize,
      limit, tableChecksum, sectionTag, sectionFlags, unknownCriticalSection, codec, reserved,
      sectionOrder, missingSection, sectionLength, sectionLayout, padding, sectionChecksum,
      zstdFrame,
      contentID, unknownValue, geometry, maskBits, alignment, scores, deployment, provenance,
    ]
  }

  /// The code of a row of the specification's table; nil for a name that is not there.
  public static func named(_ name: String) -> FormatCode? { all.first { $0.rawValue == name } }
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
