/// A stretch of text cut into pieces, which the pre-tokenizers cut further and change.
struct Pieces {
  struct Piece {
    var start: Int
    var end: Int
    /// Whether it begins where the whole text does.
    var beginsText: Bool

    var range: Range<Int> { start..<end }
  }

  var bytes: [UInt8]
  var list: [Piece]

  /// What becomes of that which a Split finds.
  enum Behavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
  }

  private struct Cut {
    var start: Int
    var end: Int
    var isMatch: Bool
  }

  /// One piece, all of `text`.
  init(_ text: [UInt8], beginsText: Bool) {
    bytes = text
    list = text.isEmpty ? [] : [Piece(start: 0, end: text.count, beginsText: beginsText)]
  }

  /// Cuts each piece at what `pattern` finds in it, or if `inverted` at what it does not find.
  mutating func split(
    _ pattern: TextPattern, _ behavior: Behavior, inverted: Bool = false,
    with machine: inout PatternMachine
  ) throws(TokenizerError) {
    var new: [Piece] = []
    new.reserveCapacity(max(list.count, bytes.count / 4))
    var cuts: [Cut] = []
    for piece in list {
      cuts.removeAll(keepingCapacity: true)
      var rest = piece.start
      try pattern.forEachMatch(in: bytes.span, range: piece.range, with: &machine) { match in
        if rest < match.lowerBound {
          cuts.append(Cut(start: rest, end: match.lowerBound, isMatch: inverted))
        }
        cuts.append(Cut(start: match.lowerBound, end: match.upperBound, isMatch: !inverted))
        rest = match.upperBound
      }
      if rest < piece.end { cuts.append(Cut(start: rest, end: piece.end, isMatch: inverted)) }
      Self.join(&cuts, behavior)
      for cut in cuts {
        new.append(
          Piece(
            start: cut.start, end: cut.end,
            beginsText: piece.beginsText && cut.start == piece.start))
      }
    }
    list = new
  }

  private static func join(_ cuts: inout [Cut], _ behavior: Behavior) {
    switch behavior {
    case .isolated: break
    case .removed: cuts.removeAll(where: \.isMatch)
    case .contiguous:
      join(&cuts) { $0 == $1 }
    case .mergedWithPrevious:
      // of several in a row, only the first belongs to what is before it
      join(&cuts) { !$0 && $1 }
    case .mergedWithNext:
      cuts.reverse()
      join(&cuts) { !$0 && $1 }
      cuts.reverse()
    }
  }

  /// Joins each cut with the one before it where `belongs` says so of their kinds, in the order of
  /// `cuts`, whichever way that runs through the text.
  private static func join(_ cuts: inout [Cut], where belongs: (Bool, Bool) -> Bool) {
    var count = 0
    var previous = false
    for cut in cuts {
      if count > 0, belongs(previous, cut.isMatch) {
        cuts[count - 1].start = min(cuts[count - 1].start, cut.start)
        cuts[count - 1].end = max(cuts[count - 1].end, cut.end)
      } else {
        cuts[count] = cut
        count += 1
      }
      previous = cut.isMatch
    }
    cuts.removeSubrange(count...)
  }

  /// Writes each piece anew: `change` appends what becomes of the bytes of one.
  mutating func rewrite(_ change: (Span<UInt8>, Piece, inout [UInt8]) -> Void) {
    var new: [UInt8] = []
    new.reserveCapacity(bytes.count + bytes.count / 4)
    for index in list.indices {
      let start = new.count
      change(bytes.span, list[index], &new)
      list[index].start = start
      list[index].end = new.count
    }
    bytes = new
  }
}
