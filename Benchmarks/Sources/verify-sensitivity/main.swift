import Foundation
import LeanKCheckpoint
import LeanKDecoder
import LeanKInterchange
import LeanKMask
import LeanKModel

// verify-sensitivity CHECKPOINT MASK.npy TOKENS.json THREADS
//
// The smallest relative error in one row of K that a verification still finds: the row of one kept
// channel is scaled by 1 + e on the pruned side, for falling e. Prints what the independent comparison
// says for each, and the exact one beside it.

/// A checkpoint whose one row is scaled.
struct ScaledRow: WeightSource {
  let source: any WeightSource
  let name: String
  let row: Int
  let columns: Int
  let factor: Float

  func tensor(named name: String) -> WeightInfo? { source.tensor(named: name) }

  func read(
    _ name: String, from first: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DecoderError) {
    guard name == self.name else { return try source.read(name, from: first, into: buffer) }
    // The row is widened to f32 on its way, so that errors below a bf16 step are there.
    let half = UnsafeMutableRawBufferPointer.allocate(byteCount: buffer.count / 2, alignment: 16)
    defer { half.deallocate() }
    try source.read(name, from: first, into: half)
    for index in 0..<buffer.count / 4 {
      let bits = UInt32(half.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)) << 16
      let value = Float(bitPattern: bits)
      let isScaled = (first + index) / columns == row
      buffer.storeBytes(
        of: isScaled ? value * factor : value, toByteOffset: 4 * index, as: Float.self)
    }
  }
}

/// The same weight in f32, unscaled or scaled.
struct WidenedRow: WeightSource {
  let scaled: ScaledRow

  func tensor(named name: String) -> WeightInfo? {
    let info = scaled.source.tensor(named: name)
    return name == scaled.name ? info.map { WeightInfo(scalar: .f32, shape: $0.shape) } : info
  }

  func read(
    _ name: String, from first: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DecoderError) { try scaled.read(name, from: first, into: buffer) }
}

let arguments = CommandLine.arguments
guard arguments.count == 5, let threads = Int(arguments[4]), threads > 0 else {
  print("usage: verify-sensitivity CHECKPOINT MASK.npy TOKENS.json THREADS")
  exit(2)
}
let directory = try CheckpointDirectory(path: arguments[1])
let model = try directory.describe().description
let bytes = [UInt8](try Data(contentsOf: URL(filePath: arguments[2])))
let imported = try MaskImporter.read(
  bytes.span, as: .npy, geometry: try model.geometries, wanting: .mask)
guard let given = imported.mask else { exit(2) }
let mask = try model.adopt(given)
let tokens = try JSONDecoder().decode(
  [Int32].self, from: Data(contentsOf: URL(filePath: arguments[3])))
let compute = ComputeContext(threads: threads)
let layer = model.layers.count / 2
let key = model.layers[layer].attention.key
guard
  let head = mask.layers[layer].heads.firstIndex(where: { !$0.isEmpty }),
  let channel = mask.layers[layer].heads[head].channels.first
else { exit(2) }
let weights = CheckpointWeights(directory)
guard weights.tensor(named: key.weight)?.scalar == .bf16 else {
  print("the rows of K have to be BF16")
  exit(2)
}

func side(_ factor: Float) -> DecoderModel {
  DecoderModel(
    model,
    weights: WidenedRow(
      scaled: ScaledRow(
        source: weights, name: key.weight, row: key.heads[head].lowerBound + channel,
        columns: model.hiddenSize, factor: factor)))
}

for exponent in stride(from: 2, through: 24, by: 2) {
  let error = Foundation.exp2(-Float(exponent))
  let request = Verification.Request(
    dense: side(1), pruned: side(1 + error), prunedForm: .cached(mask), mask: mask, tokens: tokens,
    promptLength: max(1, tokens.count - 64))
  let result = try Verification.run(request, compute)
  guard let independent = result.independent else { continue }
  print(
    "layer \(layer), channel \(channel), error 2^-\(exponent): independent \(independent.maximum) of "
      + "\(independent.limit) \(independent.passed ? "passes" : "FAILS"), exact "
      + "\(result.exactMaximum ?? 0) \(result.exactMaximum == 0 ? "passes" : "FAILS")")
}
