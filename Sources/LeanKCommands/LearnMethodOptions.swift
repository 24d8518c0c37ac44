import ArgumentParser
import LeanKDecoder
import LeanKLearn
import LeanKMask
import LeanKModel
import LeanKReport

/// How `learn` finds out which channels matter.
struct LearnMethodOptions: ParsableArguments {
  enum Method: String, ExpressibleByArgument, CaseIterable {
    case curvature
    case twoStage = "two-stage"
  }

  enum Scope: String, ExpressibleByArgument, CaseIterable {
    case layer, model, both

    var scopes: [CurvatureScope] {
      CurvatureScope(rawValue: rawValue).map { [$0] } ?? CurvatureScope.allCases
    }
  }

  /// Steps of both stages, `A,B`.
  struct Steps: ExpressibleByArgument {
    let first: Int
    let second: Int

    init(first: Int, second: Int) {
      self.first = first
      self.second = second
    }

    init?(argument: String) {
      let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
      guard parts.count == 2, let first = parts[0], let second = parts[1],
        (1...1 << 20).contains(first), (1...1 << 20).contains(second)
      else { return nil }
      self.init(first: first, second: second)
    }

    var defaultValueDescription: String { "\(first),\(second)" }
  }

  @Option(help: "Curvature, or LeanK's training in two stages.")
  var method: Method = .curvature

  @Option(
    help:
      "What curvature is taken of: the output of each layer, the model's last hidden states through all layers, or both, and the better mask is kept (default: both, or layer where memory cannot hold the keys and values of all layers)."
  )
  var scope: Scope?

  @Option(help: "Steps of the two stages, the second one for each ratio.")
  var steps = Steps(first: 400, second: 100)

  @Option(
    help:
      "Two-stage: how channels are chosen of the factors, leank (the official rule, whose ratio drifts) or budget (default: budget)."
  )
  var rule: Alignment.Rule?

  func validate() throws {
    guard method == .curvature || scope == nil else {
      throw ValidationError("--scope says what --method curvature looks at")
    }
    guard method == .twoStage || rule == nil else {
      throw ValidationError("--rule belongs to --method two-stage; curvature has --budget")
    }
    guard rule != .given else { throw ValidationError("--rule is leank or budget") }
  }

  var chosenRule: Alignment.Rule { rule ?? .budget }

  /// Sequences that a run takes, where the options do not say.
  func sequences(ratios: Int, batch: Int) -> Int {
    method == .curvature ? Self.scored : (steps.first + ratios * steps.second) * batch
  }

  private static let scored = 16

  /// Scopes of a run, and how many sequences can go through all layers together. `memory`: bytes of this
  /// machine's.
  func resolve(
    _ model: ModelDescription, context: Int, batch: Int, memory: Int
  ) -> (scopes: [CurvatureScope], batch: Int, note: String?) {
    guard method == .curvature else { return ([], batch, nil) }
    // Keys and values of all layers, f32.
    let sequence = model.layers.reduce(0) {
      $0 + 2 * $1.attention.kvHeads * $1.attention.headDim * 4 * context
    }
    let room = memory / 4
    if scope == nil, sequence > room {
      return (
        [.layer], batch,
        "--scope layer: the keys and values of all layers of a sequence take "
          + "\(Formatting.bytes(sequence)), and \(Formatting.bytes(room)) are meant for them; --scope both "
          + "makes better masks where they fit"
      )
    }
    let scopes = (scope ?? .both).scopes
    guard scopes.contains(.model) else { return (scopes, batch, nil) }
    return (scopes, max(1, min(batch, room / max(1, sequence))), nil)
  }
}
