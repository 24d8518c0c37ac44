import ByteIO
import LeanKDecoder
import TensorFiles

/// Logits of a run on their way into a `.safetensors` file, a block of the vocabulary at a time:
/// `logits_dense`, `logits_masked` and `logits_pruned`, each F32 [tokens, vocabulary].
struct LogitFile {
  private let file: AtomicFile
  private let dataStart: Int
  private let tokens: Int
  private let vocabulary: Int

  /// Makes a file that appears at `path` when it is committed. Fails where `path` is, or lies in, one of
  /// `inputs`.
  init(
    path: String, tokens: Int, vocabulary: Int, inputs: [String]
  ) throws(FileError) {
    let header = SafetensorsHeader(
      layingOut: ["logits_dense", "logits_masked", "logits_pruned"].map {
        ($0, .f32, [tokens, vocabulary])
      }, metadata: [:])
    file = try AtomicFile(path: path, replacing: true, inputs: inputs)
    dataStart = header.dataStart
    self.tokens = tokens
    self.vocabulary = vocabulary
    try file.write(header.encoded.span, at: 0)
  }

  func write(_ block: Verification.LogitBlock) throws(FileError) {
    for (side, logits) in [block.dense, block.masked, block.pruned].enumerated() {
      for row in 0..<tokens {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 * logits.columns)
        for value in logits.row(row) {
          let bits = value.bitPattern
          bytes += [
            UInt8(truncatingIfNeeded: bits), UInt8(truncatingIfNeeded: bits >> 8),
            UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 24),
          ]
        }
        let element = (side * tokens + row) * vocabulary + block.vocabulary.lowerBound
        try file.write(bytes.span, at: dataStart + 4 * element)
      }
    }
  }

  func commit() throws(FileError) { try file.commit() }
}
