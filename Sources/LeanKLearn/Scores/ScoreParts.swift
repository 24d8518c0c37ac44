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
  let widths: [[Int]]

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

  private static func name(_ sequence: Int, _ scope: CurvatureScope) -> String {
    "\(scope.rawValue)-\(sequence).safetensors"
  }

  /// Keeps the scores of a sequence.
  public func write(
    _ scores: Curvature.Scores, of sequence: Int, _ scope: CurvatureScope
  ) throws(FileError) {
    try write([(Self.tensor, Array(scores.joined().joined()))], to: Self.name(sequence, scope))
  }

  /// The scores of a sequence, nil where they are not there. Fails with `.otherInputs` where they
  /// belong to another run.
  public func read(
    _ sequence: Int, _ scope: CurvatureScope
  ) throws(LearnError) -> Curvature.Scores? {
    let name = Self.name(sequence, scope)
    guard let file = try open(name) else { return nil }
    let count = widths.reduce(0) { $0 + $1.reduce(0, +) }
    guard let values = try doubles(file, Self.tensor), values.count == count else {
      throw otherInputs(name)
    }
    var next = 0
    return widths.map { heads in
      heads.map { width in
        defer { next += width }
        return Array(values[next..<next + width])
      }
    }
  }

  /// Removes all parts: they are in the output now.
  public func discard() { directory.discard() }

  // MARK: - Files

  /// Writes arrays, whole or not at all.
  func write(
    _ arrays: [(name: String, values: [Double])], metadata: [UTF8Name: String] = [:],
    to name: String
  ) throws(FileError) {
    let encoded = encodeSafetensors(
      arrays.map { array in
        let bytes = array.values.flatMap { value in
          stride(from: 0, to: 64, by: 8).map {
            UInt8(truncatingIfNeeded: value.bitPattern >> UInt64($0))
          }
        }
        return (
          array.name, TensorArray(scalar: .f64, shape: [array.values.count], bytes: bytes)
        )
      },
      metadata: metadata.merging([UTF8Name(Self.digestKey): digest]) { $1 })
    try directory.write(name, lifting: { $0 }) { (file) throws(FileError) in
      try file.write(encoded.span)
    }
  }

  /// A file that this run has written, nil where it is not there. Fails with `.otherInputs` where it
  /// belongs to another run.
  func open(_ name: String) throws(LearnError) -> SafetensorsFile? {
    let file: SafetensorsFile
    let handle: PositionalFile
    do throws(FileError) {
      guard try directory.size(of: name) != nil else { return nil }
      handle = try directory.file(name)
    } catch {
      throw LearnError(error)
    }
    do throws(TensorFileError) {
      file = try SafetensorsFile(handle)
    } catch {
      throw LearnError(error)
    }
    guard file.header.metadata[UTF8Name(Self.digestKey)] == digest else {
      throw otherInputs(name)
    }
    return file
  }

  /// An array of such a file, nil where it has none of that name.
  func doubles(_ file: SafetensorsFile, _ name: String) throws(LearnError) -> [Double]? {
    guard let info = file[name], info.scalar == .f64, info.shape.count == 1 else { return nil }
    let bytes: [UInt8]
    do throws(TensorFileError) {
      bytes = try file.array(info).bytes
    } catch {
      throw LearnError(error)
    }
    return stride(from: 0, to: bytes.count, by: 8).map { place in
      var pattern: UInt64 = 0
      for byte in 0..<8 { pattern |= UInt64(bytes[place + byte]) << UInt64(8 * byte) }
      return Double(bitPattern: pattern)
    }
  }

  func otherInputs(_ name: String) -> LearnError {
    LearnError(
      .otherInputs,
      "the scores belong to a run with another model, text or options; finish that one, or remove them "
        + "with leank clean --parts", in: directory.path + "/" + name)
  }
}
