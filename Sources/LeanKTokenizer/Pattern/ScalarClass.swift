/// A set of Unicode scalars: for each range of values, the general categories that belong to it.
///
/// Ranges and categories are what classes of regular expressions consist of, so that union,
/// intersection and complement are exact without listing scalars.
struct ScalarClass: Sendable, Equatable {
  /// First values of the ranges, ascending from 0; each ends where the next one begins.
  private var starts: [UInt32]
  /// The categories that belong to the set in each range, as a mask.
  private var masks: [UInt32]

  /// The scalars of these categories.
  init(categories mask: UInt32) {
    starts = [0]
    masks = [mask]
  }

  static let empty = ScalarClass(categories: 0)
  static let any = ScalarClass(categories: GeneralCategories.all)

  init(_ ranges: ClosedRange<UInt32>...) {
    self = .empty
    for range in ranges { self = union(Self(only: range)) }
  }

  private init(only range: ClosedRange<UInt32>) {
    starts = range.lowerBound == 0 ? [] : [0]
    masks = range.lowerBound == 0 ? [] : [0]
    starts += [range.lowerBound, range.upperBound + 1]
    masks += [GeneralCategories.all, 0]
  }

  var complement: ScalarClass {
    var result = self
    result.masks = masks.map { ~$0 & GeneralCategories.all }
    return result
  }

  func union(_ other: ScalarClass) -> ScalarClass { merged(with: other) { $0 | $1 } }

  func intersection(_ other: ScalarClass) -> ScalarClass { merged(with: other) { $0 & $1 } }

  private func merged(
    with other: ScalarClass, _ combine: (UInt32, UInt32) -> UInt32
  ) -> ScalarClass {
    var result = ScalarClass.empty
    result.starts.removeAll()
    result.masks.removeAll()
    var (left, right) = (0, 0)
    while true {
      let start = max(starts[left], other.starts[right])
      let mask = combine(masks[left], other.masks[right])
      if result.masks.last != mask {
        result.starts.append(start)
        result.masks.append(mask)
      }
      let nextLeft = left + 1 < starts.count ? starts[left + 1] : .max
      let nextRight = right + 1 < other.starts.count ? other.starts[right + 1] : .max
      guard min(nextLeft, nextRight) < .max else { return result }
      if nextLeft <= nextRight { left += 1 }
      if nextRight <= nextLeft { right += 1 }
    }
  }

  func contains(_ value: UInt32) -> Bool {
    var low = 0
    var high = starts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= value { low = middle } else { high = middle }
    }
    let mask = masks[low]
    if mask == 0 || mask == GeneralCategories.all { return mask != 0 }
    return mask >> GeneralCategories.shared.category(value) & 1 == 1
  }

  /// Number of ranges, which the size of a pattern is limited by.
  var rangeCount: Int { starts.count }

  // What the shorthands mean to Oniguruma, whose patterns tokenizers are written for.

  /// `\s`: White_Space, which is the separators and six controls.
  static let space = ScalarClass(categories: GeneralCategories.mask("Z"))
    .union(ScalarClass(0x09...0x0D, 0x85...0x85))
  /// `\d`
  static let digit = ScalarClass(categories: GeneralCategories.mask("Nd"))
  /// `\w`: letters, marks, digits, connectors, the circled and squared letters, and the numbers that
  /// are no digits only as far as Latin-1 has them.
  static let word = ScalarClass(categories: GeneralCategories.mask("L", "M", "Nd", "Nl", "Pc"))
    .union(
      ScalarClass(
        0xB2...0xB3, 0xB9...0xB9, 0xBC...0xBE, 0x24B6...0x24E9, 0x1F130...0x1F149,
        0x1F150...0x1F169, 0x1F170...0x1F189))
  /// `\w` of Rust's regular expressions, which tell words apart in some places: no such numbers,
  /// but the joiners.
  static let rustWord = ScalarClass(categories: GeneralCategories.mask("L", "M", "Nd", "Nl", "Pc"))
    .union(
      ScalarClass(
        0x200C...0x200D, 0x24B6...0x24E9, 0x1F130...0x1F149, 0x1F150...0x1F169,
        0x1F170...0x1F189))
  /// `\p{Han}`
  static let han = ScalarClass(
    0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005...0x3005, 0x3007...0x3007,
    0x3021...0x3029, 0x3038...0x303B, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFA6D,
    0xFA70...0xFAD9, 0x16FE2...0x16FE3, 0x16FF0...0x16FF1, 0x20000...0x2A6DF, 0x2A700...0x2B739,
    0x2B740...0x2B81D, 0x2B820...0x2CEA1, 0x2CEB0...0x2EBE0, 0x2EBF0...0x2EE5D, 0x2F800...0x2FA1D,
    0x30000...0x3134A, 0x31350...0x323AF)
}
