/// A regular expression as a tree.
///
/// Depth is limited by the parser, so that walking and freeing it may recurse.
indirect enum PatternNode: Sendable {
  /// One scalar of a class; most classes of a pattern are single characters.
  case scalar(ScalarClass)
  case sequence([PatternNode])
  case alternatives([PatternNode])
  case repetition(PatternNode, least: Int, most: Int?, Greed)
  /// A look at what follows or precedes, which takes no text.
  case look(PatternNode, ahead: Bool, negative: Bool)
  /// The first way in which the inner pattern matches, and no other.
  case atomic(PatternNode)
  case lineStart, lineEnd, textStart, textEnd
  case wordBoundary(negative: Bool)

  enum Greed: Sendable { case greedy, lazy, possessive }

  /// Fewest and most scalars that it takes; nil for no limit, or one that no one counts to.
  var width: (least: Int, most: Int?) {
    switch self {
    case .scalar: return (1, 1)
    case .sequence(let parts):
      return parts.reduce((0, 0)) { sum, part in
        let width = part.width
        let most = sum.most.flatMap { a in width.most.map { a + $0 } }
        return (min(sum.least + width.least, Self.ceiling), Self.limited(most))
      }
    case .alternatives(let parts):
      let widths = parts.map(\.width)
      let most = widths.allSatisfy { $0.most != nil } ? widths.compactMap(\.most).max() : nil
      return (widths.map(\.least).min() ?? 0, most)
    case .repetition(let inner, let least, let most, _):
      let width = inner.width
      let product = most.flatMap { count in width.most.map { $0 * count } }
      return (min(width.least * least, Self.ceiling), Self.limited(product))
    case .atomic(let inner): return inner.width
    case .look, .lineStart, .lineEnd, .textStart, .textEnd, .wordBoundary: return (0, 0)
    }
  }

  private static let ceiling = 1 << 20

  private static func limited(_ width: Int?) -> Int? {
    width.flatMap { $0 <= ceiling ? $0 : nil }
  }
}
