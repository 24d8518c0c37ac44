/// Most combining characters in a row in a text from a file, after Unicode's stream-safe format.
public let combiningRunLimit = 30

/// Whether more than `limit` combining characters stand in a row in `text`.
///
/// To hash or compare, `String` sorts such a run in quadratic time, so that 400 kB of them keep it
/// busy for a minute. No language writes more than a few.
public func hasLongCombiningRun(_ text: String, limit: Int = combiningRunLimit) -> Bool {
  // below U+0300 nothing combines
  guard text.utf8.contains(where: { $0 >= 0xCC }) else { return false }
  var run = 0
  for scalar in text.unicodeScalars {
    run = scalar.properties.canonicalCombiningClass == .notReordered ? 0 : run + 1
    if run > limit { return true }
  }
  return false
}
