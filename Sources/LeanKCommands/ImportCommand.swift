import ArgumentParser
import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKFormat
import LeanKMask
import LeanKModel
import LeanKReport

/// `leank import`
struct ImportCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Make a .leank file of a mask in another format.",
    discussion: """
      Reads torch .pth and .pt, .npy, .npz, .safetensors, .tsv and .json, and executes nothing in
      them. An array of only 0 and 1 is a mask; anything else is scores, of which leank mask makes
      masks. With --model the file records query heads and RoPE pairs too.

      EXAMPLE
        leank import llama3.1-8b-instruct.pth --model Llama-3.1-8B --mode windowed --output mask.leank
      """)

  @Argument(help: "The mask to read.")
  var source: String

  @Option(help: "The .leank file to write.")
  var output: String

  @Option(help: "Checkpoint the mask is for: gives the geometry, and checks it. Needed for .tsv.")
  var model: String?

  @Option(help: "A file of importance scores to put beside the mask.")
  var scores: String?

  @Option(help: "Alignment unit to record (default: the largest that fits).")
  var align: Int?

  @OptionGroup var modeOptions: ModeOptions

  @Flag(help: "Record neither model, source nor writer.")
  var noProvenance = false

  @Flag(help: "Replace an existing output file.")
  var force = false

  func run(on console: Console) throws -> CInt {
    let checkpoint = try model.map { try CheckpointDirectory(path: $0) }
    let input = try MaskInput.read(source, for: checkpoint)
    var document = input.document
    var notes = input.notes
    if let align { document.alignment = try recorded(align) }
    if let scores {
      let found = try MaskInput.scores(scores, geometry: document.mask.layers.map(\.geometry))
      document = try MaskDocument(
        mask: document.mask, alignment: document.alignment, scores: found.values,
        deployment: document.deployment, provenance: document.provenance)
      notes += found.notes
    }
    if modeOptions.isGiven {
      document.deployment = try modeOptions.resolve(hints: document.deployment)
    }
    if noProvenance {
      document.provenance = Provenance()
    } else {
      document.provenance.record(source: source, bytes: input.bytes, model: checkpoint)
    }
    notes.forEach { console.warn($0) }
    let encoded = try LeankFile.encode(document, replacing: input.file)
    try writeFileAtomically(encoded.bytes.span, to: output, replacing: force)
    let statistics = MaskStatistics(of: document.mask)
    try console.print(
      "wrote \(escaped(output, limit: 4096)), \(Formatting.count(encoded.bytes.count)) bytes: "
        + "\(counted(statistics.layers, "layer")), \(counted(statistics.heads, "KV head")), "
        + "\(Formatting.percent(statistics.prunedRatio)) of the channels pruned")
    return LeankExit.success
  }

  private func recorded(_ unit: Int) throws -> Alignment {
    do throws(MaskError) {
      return try Alignment(unit: unit, rule: .given)
    } catch {
      throw UsageError("--align \(unit): \(error.description)")
    }
  }
}

extension Provenance {
  /// Records where a mask came from: names and digests, never paths.
  mutating func record(source: String, bytes: [UInt8], model: CheckpointDirectory?) {
    if source != "-" { self[Self.source] = splitPath(source).name }
    self[Self.sourceDigest] = sha256(bytes)
    if let model { record(model: model) }
    self[Self.writer] = "leank \(leankVersion)"
  }

  /// Records the model a mask is for.
  mutating func record(model: CheckpointDirectory) {
    self[Self.model] = model.modelName
    self[Self.configDigest] = sha256(model.configuration.bytes)
  }
}

extension CheckpointDirectory {
  /// Name of the model's directory; of one in a Hugging Face cache, the repository's.
  var modelName: String {
    let parts = URL(filePath: path).standardizedFileURL.pathComponents
    let repository = parts.dropLast(2).last ?? ""
    if parts.dropLast().last == "snapshots", repository.hasPrefix("models--") {
      return String(repository.dropFirst("models--".count)).replacing("--", with: "/")
    }
    return parts.last ?? path
  }
}
