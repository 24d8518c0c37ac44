import ByteIO
import Foundation
import LeanKCheckpoint
import LeanKDecoder
import LeanKModel
import TensorFiles
import TestSupport
import Testing

/// Each changed configuration is read as transformers 5 reads it; as 4 where 5 errs; or refused.
@Suite struct ConfigurationCaseTests {
  /// Cases that transformers 5 runs and leank refuses, by the first and last letters of their names,
  /// and why.
  private static let declined: [(first: String, last: String, why: String)] = [
    ("nested", "", "parameters of layer types that no layer of the family looks up"),
    ("per_layer_", "", "layers with keys of their own"),
    ("scaling_", "proportional", "a scaling that is not computed"),
    ("original_half_", "", "half a position"),
    ("window_0", "", "a window that shows nothing"),
    ("", "_softcapping_zero", "a soft cap of nothing"),
    ("key_alibi_", "", "attention of another kind"),
    ("key_use_bidirectional_attention_", "", "attention of another kind"),
    ("scaling_", "_type", "Gemma 3: read by version 4 and not by 5"),
    ("scaling_", "_mrope", "Gemma 3: as above"),
    ("null_partial_rotary_factor", "", "GLM-4: all of the head in 5, an error in 4"),
    ("activation_", "", "functions that the decoder does not compute"),
    ("key_head_dim_", "", "a width that only part of the class goes by"),
    ("key_num_attention_heads_", "", "a width that only part of the class goes by"),
    ("key_num_ln_in_parallel_attn_", "", "norms without a use"),
  ]

  /// Cases that neither version runs, or that version 4 could not be asked about, and leank does.
  private static let tolerated: [(model: String, first: String, why: String)] = [
    ("", "null_head_dim", "a null is what other classes take for hidden_size / heads"),
    ("", "null_max_position_embeddings", "read only where a scaling asks for it"),
    ("mixtral", "scaling_", "both stumble over an absent head_dim, hidden_size / heads elsewhere"),
    ("mixtral", "flat_", "as above"), ("mixtral", "original_", "as above"),
  ]

  @Test(arguments: ConfigurationCases.models) func readAsTransformersReads(model: String) throws {
    let source = try CheckpointDirectory(path: Fixtures.path("Reference/\(model)"))
    let file = try SafetensorsFile(path: Fixtures.path("Reference/\(model)/reference.safetensors"))
    let tokens = try ReferenceModel.tokens(file, "input_ids")
    let plain = try ReferenceModel.matrix(file, "logits_dense")
    let runner = CaseRunner(source: source, tokens: tokens)
    let tolerance = ReferenceModel.tolerance(model) * 2
    for one in try ConfigurationCases.of(model) {
      let result = Result { try runner.logits(one, of: model) }
      let wanted: ConfigurationCases.Outcome = one.five == .error ? one.four ?? .error : one.five
      switch (wanted, result) {
      case (.error, .failure(let error)), (.partial, .failure(let error)):
        #expect(Self.isRefusal(error), "\(one.name): \(error)")
      case (.error, .success), (.partial, .success):
        let isTolerated = Self.tolerated.contains {
          model.hasPrefix($0.model) && one.name.hasPrefix($0.first)
        }
        #expect(isTolerated, "\(one.name): transformers does not run it")
      case (.same, .success(let logits)):
        #expect(logits.largestDifference(from: plain) <= tolerance, "\(one.name)")
      case (.logits(let expected), .success(let logits)):
        let row = logits.row(logits.rows - 1)
        let difference = zip(row, expected).map { abs($0 - $1) }.max() ?? .infinity
        #expect(difference <= tolerance, "\(one.name): \(Array(row.prefix(6))), not \(expected)")
      case (_, .failure(let error)):
        #expect(Self.isRefusal(error), "\(one.name): \(error)")
        let isDeclined = Self.declined.contains {
          one.name.hasPrefix($0.first) && one.name.hasSuffix($0.last)
        }
        #expect(isDeclined || one.five == .error, "\(one.name): \(error)")
      }
    }
  }

  private static func isRefusal(_ error: any Error) -> Bool {
    switch error {
    case let error as CheckpointError: [.malformed, .unsupported].contains(error.failureClass)
    case let error as ModelError: [.malformed, .unsupported].contains(error.failureClass)
    case let error as DecoderError: [.malformed, .unsupported].contains(error.failureClass)
    default: false
    }
  }
}

/// Runs cases of one checkpoint, each description once.
private final class CaseRunner {
  private let source: CheckpointDirectory
  private let tokens: [Int32]
  private var known: [ModelDescription: Matrix] = [:]

  init(source: CheckpointDirectory, tokens: [Int32]) {
    self.source = source
    self.tokens = tokens
  }

  func logits(_ one: ConfigurationCases.Case, of model: String) throws -> Matrix {
    if let ends = one.ends {
      let folder = try TemporaryDirectory()
      try folder.write(one.configuration, to: "x/config.json")
      try StoredEnds.write(ends, of: model, to: folder, "x")
      let directory = try CheckpointDirectory(path: folder.path("x"))
      return try run(try directory.describe().description, directory)
    }
    let described = try DescribedModel(
      configuration: try ModelConfiguration(one.configuration, path: "config.json"),
      tensorNames: source.tensorNames)
    for (name, shape) in described.shapes where source.tensor(name)?.info.shape != shape {
      throw CheckpointError(.tensorShape, "tensor \(name) is not \(shape)", in: "x")
    }
    if let logits = known[described.description] { return logits }
    let logits = try run(described.description, source)
    known[described.description] = logits
    return logits
  }

  private func run(
    _ description: ModelDescription, _ directory: CheckpointDirectory
  ) throws -> Matrix {
    let model = DecoderModel(description, weights: CheckpointWeights(directory))
    return try TestRun([.dense(model)], prompt: tokens.count, tokens: tokens, threads: 1).logits[0]
  }
}
