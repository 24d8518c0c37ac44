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
      Reads torch .pth and .pt, .npy, .npz, .safetensors, .tsv and .json, and executes nothing in \
      them. An array of only 0 and 1 is a mask; anything else is scores, of which leank mask makes \
      masks. With --model the file records query heads and RoPE pairs too.

      EXAMPLE
        leank import mask.pth --model Llama-3.1-8B --mode windowed --output mask.leank
      """)

  @Argument(help: "The mask to read.")
  var source: String

  @Option(help: "The .leank file to write.")
  var output: String

  @Option(
    help:
      "Checkpoint the mask is for: gives the geometry, and checks it; needed for .tsv (default: none)."
  )
  var model: String?

  @Option(help: "A file of importance scores to put beside the mask (default: none).")
  var scores: String?

  @Option(help: "Alignment unit to record, in channels (default: the largest that fits).")
  var align: Int?

  @OptionGroup var scoresKind: ScoresKindOptions

  @OptionGroup var modeOptions: ModeOptions

  @Option(help: "Of a .leank file with several masks take this one alone (default: all of them).")
  var instance: Int?

  @Flag(help: "Record neither model, source nor writer.")
  var noProvenance = false

  @Flag(help: "Replace an existing output file.")
  var force = false

  func validate() throws {
    guard (instance ?? 0) >= 0 else {
      throw ValidationError("--instance is a number of at least 0")
    }
  }

  func run(on console: Console) throws -> CInt {
    try checkOutputFile(output, replacing: force)
    let checkpoint = try model.map { try CheckpointDirectory(path: $0) }
    let input = try MaskInput.read(
      source, for: checkpoint, instance: instance ?? 0,
      kind: scores == nil ? scoresKind.kind : nil)
    let geometry = input.document.mask.layers.map(\.geometry)
    let found = try scores.map {
      try MaskInput.scores($0, geometry: geometry, kind: scoresKind.kind)
    }
    guard scoresKind.kind == nil || found != nil || input.document.scores != nil else {
      throw UsageError("--kind names scores, \(escaped(source, limit: 4096)) has none")
    }
    (input.notes + (found?.notes ?? [])).forEach { console.warn($0) }
    let documents = try (instance == nil ? input.documents : [input.document]).map {
      try changed($0, scores: found?.values, of: input, model: checkpoint)
    }
    let encoded =
      if let instance {
        try LeankFile.encode(documents[0], replacing: input.file, instance: instance)
      } else {
        try LeankFile.encode(instances: documents, replacing: input.file)
      }
    try writeFileAtomically(encoded.bytes.span, to: output, replacing: force)
    let statistics = MaskStatistics(of: documents[0].mask)
    try console.print(
      "wrote \(escaped(output, limit: 4096)), \(Formatting.count(encoded.bytes.count)) bytes: "
        + (documents.count > 1 ? "\(documents.count) masks of " : "")
        + "\(counted(statistics.layers, "layer")), \(counted(statistics.heads, "KV head")), "
        + "\(Formatting.percent(statistics.prunedRatio)) of the channels pruned"
        + (documents.count > 1 ? " in the first" : ""))
    return LeankExit.success
  }

  /// A mask of the input with what the command line says about it.
  private func changed(
    _ document: MaskDocument, scores: ImportanceScores?, of input: MaskInput,
    model: CheckpointDirectory?
  ) throws -> MaskDocument {
    var document = try MaskDocument(
      mask: document.mask, alignment: try align.map(recorded) ?? document.alignment,
      scores: scores ?? document.scores, deployment: document.deployment,
      provenance: document.provenance)
    if modeOptions.isGiven {
      document.deployment = try modeOptions.resolve(hints: document.deployment)
    }
    if noProvenance {
      document.provenance = Provenance()
    } else {
      document.provenance.record(source: source, bytes: input.bytes, model: model)
    }
    return document
  }

  /// As many channels as a head may have.
  private static let alignmentLimit = 4096

  private func recorded(_ unit: Int) throws -> Alignment {
    do throws(MaskError) {
      guard unit <= Self.alignmentLimit else {
        throw MaskError(.alignment, "alignment unit \(unit), the limit is \(Self.alignmentLimit)")
      }
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

  /// What to say where the mask at `path` names another model's configuration than that of `model`.
  func warnings(for model: CheckpointDirectory, _ path: String) -> [String] {
    guard let recorded = self[Self.configDigest], recorded != sha256(model.configuration.bytes)
    else { return [] }
    return [
      "\(escaped(path, limit: 4096)) was made for another configuration than "
        + "\(escaped(model.configuration.path, limit: 4096)): its config_sha256 begins with "
        + quoted(String(recorded.prefix(16)))
    ]
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
