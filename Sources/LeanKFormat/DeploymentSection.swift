import ByteIO
import LeanKMask

/// The deployment section, 16 bytes.
enum DeploymentSection {
  static let size = 16
  private static let prefills: [AttentionWindow.Prefill] = [.dense, .windowed]
  private static let emptyHeads: [AttentionWindow.EmptyHeads] = [.absent, .zero]

  /// nil where the section is not understood.
  static func decode(_ bytes: Span<UInt8>) throws(FormatError) -> DeploymentHints? {
    guard bytes[0] == 1 || bytes[0] == 2, bytes[1] < prefills.count, bytes[2] < emptyHeads.count
    else { return nil }
    guard bytes[3] == 0 else {
      throw FormatError(.reserved, "DEPL: the reserved byte is not zero")
    }
    let window = (0..<3).map { Int(bytes.littleEndian(at: 4 + 4 * $0) as UInt32) }
    guard bytes[0] == 2 else {
      guard bytes[1] == 0, bytes[2] == 0, window == [0, 0, 0] else {
        throw FormatError(.deployment, "DEPL: static mode with a window")
      }
      return .static
    }
    do throws(MaskError) {
      return .windowed(
        try AttentionWindow(
          sink: window[0], recent: window[1], accumulate: window[2],
          prefill: prefills[Int(bytes[1])], emptyHeads: emptyHeads[Int(bytes[2])]))
    } catch {
      throw FormatError(.deployment, error)
    }
  }

  static func encode(_ hints: DeploymentHints) -> [UInt8] {
    var writer = ByteWriter()
    let window = hints.window
    writer.append(UInt8(hints.mode == .static ? 1 : 2))
    writer.append(UInt8(window.flatMap { prefills.firstIndex(of: $0.prefill) } ?? 0))
    writer.append(UInt8(window.flatMap { emptyHeads.firstIndex(of: $0.emptyHeads) } ?? 0))
    writer.append(UInt8(0))
    for value in [window?.sink, window?.recent, window?.accumulate] {
      writer.append(UInt32(clamping: value ?? 0))
    }
    return writer.bytes
  }
}
