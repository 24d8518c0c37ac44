import Foundation
import LeanKReport

/// A line on a terminal that says how far a long run is: share, bytes and their rate or
/// another unit, time left.
final class ProgressBar {
  private let console: Console
  private let isShown: Bool
  private let label: String
  private let unit: String?
  private let start = ContinuousClock.now
  private var last: ContinuousClock.Instant?

  /// `unit`: what is counted, nil for bytes.
  init(console: Console, isShown: Bool, label: String, unit: String? = nil) {
    self.console = console
    self.isShown = isShown && console.isInteractive
    self.label = label
    self.unit = unit
  }

  /// Redraws at most ten times a second, within the 80 columns of a terminal.
  func update(_ done: Int, of total: Int) {
    guard isShown, total > 0 else { return }
    let now = ContinuousClock.now
    if let last, now - last < .milliseconds(100), done < total { return }
    last = now
    let share = Double(done) / Double(total)
    let elapsed = start.duration(to: now) / .seconds(1)
    let rate = Double(done) / max(elapsed, 1e-3)
    let left = Formatting.clock(seconds: Double(total - done) / max(rate, 1e-3))
    let amount =
      unit.map { "\(done) of \(total) \($0)" }
      ?? "\(Formatting.bytes(done)) of \(Formatting.bytes(total)), \(Formatting.bytes(Int(rate)))/s"
    console.note(
      "\r\(label) \(Formatting.bar(share, width: 12)) \(Int(share * 100)) %  "
        + "\(amount), \(left) left\u{1B}[K", terminator: "")
  }

  /// Removes the line.
  func finish() {
    if isShown, last != nil { console.note("\r\u{1B}[K", terminator: "") }
  }
}
