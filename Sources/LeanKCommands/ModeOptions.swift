public import ArgumentParser
public import LeanKMask

extension MaskMode: ExpressibleByArgument {}
extension AttentionWindow.Prefill: ExpressibleByArgument {}
extension AttentionWindow.EmptyHeads: ExpressibleByArgument {}

/// `--mode` and what belongs to it, wherever a command decides what a mask means.
struct ModeOptions: ParsableArguments {
  @Option(
    help:
      "What the mask means (default: what the checkpoint or the mask says, else static)."
  )
  var mode: MaskMode?

  @Option(help: "Windowed: first tokens that stay whole (default: the mask's hint, else 128).")
  var sink: Int?

  @Option(help: "Windowed: latest tokens that stay whole (default: the mask's hint, else 768).")
  var recent: Int?

  @Option(
    help:
      "Windowed: tokens by which that window grows before it is flushed (default: the mask's hint, else 128)."
  )
  var accumulate: Int?

  @Option(
    help:
      "Windowed: the prompt's own attention (default: the mask's hint, else dense)."
  )
  var prefill: AttentionWindow.Prefill?

  @Option(
    help:
      "Windowed: middle keys of heads that keep nothing are absent, or score zero (default: the mask's hint, else absent)."
  )
  var emptyHeads: AttentionWindow.EmptyHeads?

  /// Whether the command line says anything about the mode.
  var isGiven: Bool { mode != nil || asksForWindow }

  private var asksForWindow: Bool {
    sink != nil || recent != nil || accumulate != nil || prefill != nil || emptyHeads != nil
  }

  /// The mode asked for, else that of the first of `hints` that says one, else static.
  ///
  /// Fails with a usage error for window options in static mode and for an impossible window.
  func resolve(hints: DeploymentHints?...) throws -> DeploymentHints {
    let hint = hints.lazy.compactMap { $0 }.first
    switch mode ?? hint?.mode ?? (asksForWindow ? .windowed : .static) {
    case .static:
      guard !asksForWindow else {
        throw UsageError(
          "--sink, --recent, --accumulate, --prefill and --empty-heads need --mode windowed")
      }
      return .static
    case .windowed:
      let base = hints.lazy.compactMap { $0?.window }.first ?? .standard
      do throws(MaskError) {
        return .windowed(
          try AttentionWindow(
            sink: sink ?? base.sink, recent: recent ?? base.recent,
            accumulate: accumulate ?? base.accumulate, prefill: prefill ?? base.prefill,
            emptyHeads: emptyHeads ?? base.emptyHeads))
      } catch {
        throw UsageError(error.description)
      }
    }
  }
}
