import LeanKMask
import LeanKReport

/// `cache`: bytes of K and V.
struct CacheReport: Encodable {
  struct Bytes: Encodable {
    var keys: Int
    var values: Int
    var total: Int

    init(_ bytes: CacheBytes) {
      keys = bytes.keys
      values = bytes.values
      total = bytes.total
    }
  }

  struct PerToken: Encodable {
    var dense: Bytes
    var `static`: Bytes
    var windowedMiddle: Bytes
  }

  struct Window: Encodable {
    var sink: Int
    var recent: Int
    var accumulate: Int
  }

  struct Context: Encodable {
    var tokens: Int
    var dense: Bytes
    var `static`: Bytes
    var windowed: Bytes
    /// `total` as a share of the dense cache's.
    var staticRatio: Double
    var windowedRatio: Double

    init(_ tokens: Int, of subject: ReportSubject) {
      let cost = subject.cost
      self.tokens = tokens
      dense = Bytes(cost.dense(context: tokens))
      `static` = Bytes(cost.static(context: tokens))
      windowed = Bytes(cost.windowed(context: tokens, window: subject.window))
      let whole = Double(max(1, dense.total))
      staticRatio = Double(`static`.total) / whole
      windowedRatio = Double(windowed.total) / whole
    }
  }

  var elementBytes: Int
  var perToken: PerToken
  var window: Window
  /// The lengths asked for.
  var contexts: [Context]
  /// The lengths of the report's curve.
  var curve: [Context]

  init(_ subject: ReportSubject) {
    let cost = subject.cost
    elementBytes = cost.elementBytes
    perToken = PerToken(
      dense: Bytes(cost.densePerToken), static: Bytes(cost.staticPerToken),
      windowedMiddle: Bytes(cost.middlePerToken))
    window = Window(
      sink: subject.window.sink, recent: subject.window.recent,
      accumulate: subject.window.accumulate)
    contexts = subject.contexts.map { Context($0, of: subject) }
    curve = subject.curve.map { Context($0, of: subject) }
  }
}
