import Foundation

/// Unicode's normal forms over UTF-8, in n log n steps whatever the text.
///
/// Foundation sorts combining characters in quadratic time: 400,000 of them in a row keep it busy for
/// more than a minute. Here it is only asked for single scalars and pairs, and its answers are kept.
struct NormalForms {
  enum Form: Sendable {
    case nfc, nfd, nfkc, nfkd

    var isComposed: Bool { self == .nfc || self == .nfkc }
    var isCompatibility: Bool { self == .nfkc || self == .nfkd }
  }

  /// Most answers that are kept of each kind.
  private static let memoryLimit = 1 << 16

  private struct Scalar {
    var value: UInt32
    /// The canonical combining class, 0 of what does not combine.
    var order: UInt8
  }

  private var canonical: [UInt32: [UInt32]] = [:]
  private var compatibility: [UInt32: [UInt32]] = [:]
  /// Composites by first and second part, 0 where there is none.
  private var composites: [UInt64: UInt32] = [:]
  private var work: [Scalar] = []

  /// `text`, which is valid UTF-8, in its normal form.
  mutating func apply(_ form: Form, to text: [UInt8]) -> [UInt8] {
    // Scalars below stand in every normal form for themselves and combine with nothing before them.
    let plain: UInt8 = form == .nfc ? 0xCC : 0x80
    guard text.contains(where: { $0 >= plain }) else { return text }
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 8)
    let bytes = text.span
    var position = 0
    while position < bytes.count {
      // plain text up to the last scalar before one that is not: the two may combine
      let start = position
      var last = position
      while position < bytes.count, bytes[position] < plain {
        last = position
        position += bytes[position] < 0x80 ? 1 : 2
      }
      let end = position < bytes.count ? last : position
      for index in start..<end { result.append(bytes[index]) }
      position = end
      guard position < bytes.count else { break }
      work.removeAll(keepingCapacity: true)
      var isFirst = true
      while position < bytes.count, isFirst || bytes[position] >= plain {
        isFirst = false
        let (value, length) = PatternMachine.scalar(in: bytes, at: position)
        position += length
        decompose(value, form)
      }
      sort()
      if form.isComposed { compose() }
      for scalar in work { appendUTF8(scalar.value, to: &result) }
    }
    return result
  }

  private mutating func decompose(_ value: UInt32, _ form: Form) {
    guard value >= 0x80 else {
      work.append(Scalar(value: value, order: 0))
      return
    }
    if let parts = Hangul.parts(of: value) {
      for part in parts where part > 0 { work.append(Scalar(value: part, order: 0)) }
      return
    }
    let known = form.isCompatibility ? compatibility[value] : canonical[value]
    let parts = known ?? learn(value, isCompatibility: form.isCompatibility)
    for part in parts { work.append(Scalar(value: part, order: Self.order(of: part))) }
  }

  private mutating func learn(_ value: UInt32, isCompatibility: Bool) -> [UInt32] {
    guard let scalar = UnicodeScalar(value) else { return [value] }
    let text = String(scalar)
    let parts =
      (isCompatibility
      ? text.decomposedStringWithCompatibilityMapping : text.decomposedStringWithCanonicalMapping)
      .unicodeScalars.map(\.value)
    if isCompatibility {
      if compatibility.count >= Self.memoryLimit { compatibility.removeAll() }
      compatibility[value] = parts
    } else {
      if canonical.count >= Self.memoryLimit { canonical.removeAll() }
      canonical[value] = parts
    }
    return parts
  }

  private static let marks = GeneralCategories.mask("M")

  /// Only marks have a class other than 0.
  private static func order(of value: UInt32) -> UInt8 {
    guard value >= 0x300, marks >> GeneralCategories.shared.category(value) & 1 == 1 else {
      return 0
    }
    return UnicodeScalar(value)?.properties.canonicalCombiningClass.rawValue ?? 0
  }

  /// Sorts each row of combining scalars by their classes; equal ones stay in order.
  private mutating func sort() {
    var start = 0
    while start < work.count {
      guard work[start].order > 0 else {
        start += 1
        continue
      }
      var end = start
      var isSorted = true
      while end < work.count, work[end].order > 0 {
        if end > start, work[end].order < work[end - 1].order { isSorted = false }
        end += 1
      }
      if !isSorted {
        let sorted = work[start..<end].enumerated().sorted {
          ($0.element.order, $0.offset) < ($1.element.order, $1.offset)
        }
        for (index, scalar) in sorted.enumerated() { work[start + index] = scalar.element }
      }
      start = end
    }
  }

  private mutating func compose() {
    var count = 0
    var starter = -1
    // class of the last scalar that was kept behind the starter, -1 for none
    var last = -1
    for scalar in work {
      let order = Int(scalar.order)
      if starter >= 0, last < order || last == -1,
        let composite = composite(work[starter].value, scalar.value)
      {
        work[starter].value = composite
        continue
      }
      if order == 0 {
        starter = count
        last = -1
      } else {
        last = order
      }
      work[count] = scalar
      count += 1
    }
    work.removeSubrange(count...)
  }

  /// What both compose to. Seconds are marks, and one vowel sign that is a letter, Hangul apart.
  private mutating func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
    let isMark =
      second >= 0x300 && Self.marks >> GeneralCategories.shared.category(second) & 1 == 1
    guard isMark || second == 0x16D67 else { return Hangul.composite(first, second) }
    let key = UInt64(first) << 32 | UInt64(second)
    if let known = composites[key] { return known == 0 ? nil : known }
    var text = ""
    for value in [first, second] {
      if let scalar = UnicodeScalar(value) { text.unicodeScalars.append(scalar) }
    }
    let composed = Array(text.precomposedStringWithCanonicalMapping.unicodeScalars)
    let result = composed.count == 1 ? composed[0].value : 0
    if composites.count >= Self.memoryLimit { composites.removeAll() }
    composites[key] = result
    return result == 0 ? nil : result
  }
}

/// Appends the UTF-8 of the scalar `value`.
func appendUTF8(_ value: UInt32, to bytes: inout [UInt8]) {
  guard let scalar = UnicodeScalar(value) else { return }
  bytes.append(contentsOf: UTF8.encode(scalar) ?? .init())
}

/// Korean syllables, whose parts are computed.
private enum Hangul {
  /// The two or three parts of a syllable, 0 where there is no third; nil of other scalars.
  static func parts(of value: UInt32) -> [UInt32]? {
    guard (0xAC00...0xD7A3).contains(value) else { return nil }
    let index = value - 0xAC00
    let last = index % 28
    return [0x1100 + index / 588, 0x1161 + index % 588 / 28, last == 0 ? 0 : 0x11A7 + last]
  }

  static func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if (0x1100...0x1112).contains(first), (0x1161...0x1175).contains(second) {
      return 0xAC00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
    }
    guard (0xAC00...0xD7A3).contains(first), (first - 0xAC00) % 28 == 0,
      (0x11A8...0x11C2).contains(second)
    else { return nil }
    return first + second - 0x11A7
  }
}
