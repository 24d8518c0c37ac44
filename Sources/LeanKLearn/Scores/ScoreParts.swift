public import ByteIO
public import LeanKDecoder
import LeanKModel
import TensorFiles

/// Scores of single sequences in files beside an output: what a run that was stopped, or runs on other
/// machines, have done already.
public struct ScoreParts {
  private let directory: PartsDirectory
  /// Names the model, the data and the options that the scores belong to.
  private let digest: String
  /// Channels of each layer's KV heads, [layers][KV heads].
  private let widths: [[Int]]

  private static let tensor = "scores"
  private static let digestKey = "leank.learn_digest"

  /// Opens the parts beside `output`, alone where they are to be finished. `digest` is what binds
  /// them; `widths` has the channels of every KV head by layer.
  public init(
    beside output: String, digest: String, widths: [[Int]], inputs: [DirectoryHandle],
    forCommit: Bool
  ) throws(FileError) {
    directory = try PartsDirectory(for: output + ".scores", inputs: inputs, forCommit: forCommit)
    self.digest = digest
    self.widths = widths
  }

  private static func name(_ sequence: Int) -> String { "sequence-\(sequence).safetensors" }

  /// Keeps the scores of a sequence.
  public func write(_ scores: Curvature.Scores, of sequence: Int) throws(FileError) {
    let values = scores.joined().joined().map(\.bitPattern)
    var bytes: [UInt8] = []
    for value in values {
      for shift in stride(from: 0, to: 64, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
      }
    }
    let encoded = encodeSafetensors(
      [(Self.tensor, TensorArray(scalar: .f64, shape: [values.count], bytes: bytes))],
      metadata: [UTF8Name(Self.digestKey): digest])
    try directory.write(Self.name(sequence), lifting: { $0 }) { (file) throws(FileError) in
      try file.write(encoded.span)
    }
  }

  /// The scores of a sequence, nil where they are not there. Fails with `.otherInputs` where they
  /// belong to another run.
  public func read(_ sequence: Int) throws(LearnError) -> Curvature.Scores? {
    let name = Self.name(sequence)
    let path = directory.path + "/" + name
    let handle: PositionalFile
    do throws(FileError) {
      guard try directory.size(of: name) != nil else { return nil }
      handle = try directory.file(name)
    } catch {
      throw LearnError(error)
    }
    let file: SafetensorsFile
    do throws(TensorFileError) {
      file = try SafetensorsFile(handle)
    } catch {
      throw LearnError(error)
    }
    let count = widths.reduce(0) { $0 + $1.reduce(0, +) }
    guard file.header.metadata[UTF8Name(Self.digestKey)] == digest,
      let info = file[Self.tensor], info.scalar == .f64, info.shape == [count]
    else {
      throw LearnError(
        .otherInputs,
        "the scores belong to a run with another model, text or options; finish that one, or remove them "
          + "with leank clean --parts", in: path)
    }
    let bytes: [UInt8]
    do throws(TensorFileError) {
      bytes = try file.array(info).bytes
    } catch {
      throw LearnError(error)
    }
    var next = 0
    return widths.map { heads in
      heads.map { width in
        (0..<width).map { _ in
          var pattern: UInt64 = 0
          for byte in 0..<8 { pattern |= UInt64(bytes[next + byte]) << UInt64(8 * byte) }
          next += 8
          return Double(bitPattern: pattern)
        }
      }
    }
  }

  /// Removes all parts: they are in the output now.
  public func discard() { directory.discard() }
}
