import ByteIO

// Escapes and sets, which stand for classes.
extension PatternParser {
  mutating func escape() throws(TokenizerError) -> PatternNode {
    guard index + 1 < scalars.count else { throw syntax("a \"\\\" at the end") }
    switch scalars[index + 1] {
    case "b", "B":
      index += 2
      return .wordBoundary(negative: scalars[index - 1] == "B")
    case "A", "z":
      index += 2
      return scalars[index - 1] == "A" ? .textStart : .textEnd
    default:
      let (scalarClass, single) = try escapedClass()
      if let single { return .scalar(try literal(single)) }
      // the categories of letters are no longer themselves where case is ignored
      guard let scalarClass else { throw syntax("an escape of nothing") }
      return .scalar(scalarClass)
    }
  }

  /// What follows a backslash: a class, or one character.
  private mutating func escapedClass() throws(TokenizerError) -> (ScalarClass?, UnicodeScalar?) {
    guard index + 1 < scalars.count else { throw syntax("a \"\\\" at the end") }
    let scalar = scalars[index + 1]
    index += 2
    switch scalar {
    case "s": return (.space, nil)
    case "S": return (ScalarClass.space.complement, nil)
    case "d": return (.digit, nil)
    case "D": return (ScalarClass.digit.complement, nil)
    case "w": return (.word, nil)
    case "W": return (ScalarClass.word.complement, nil)
    case "p", "P": return (try property(negated: scalar == "P"), nil)
    case "n": return (nil, "\n")
    case "r": return (nil, "\r")
    case "t": return (nil, "\t")
    case "f": return (nil, "\u{0C}")
    case "v": return (nil, "\u{0B}")
    case "x": return (nil, try hexadecimal(digits: 2))
    case "u": return (nil, try hexadecimal(digits: 4))
    default:
      let isWord = scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
      guard !isWord else { throw unknown("the escape \(quoted("\\" + String(scalar)))") }
      return (nil, scalar)
    }
  }

  private mutating func hexadecimal(digits: Int) throws(TokenizerError) -> UnicodeScalar {
    var text = ""
    if digits == 2, take("{") {
      while let scalar = next, scalar != "}", text.utf8.count < 8 {
        text.unicodeScalars.append(scalar)
        index += 1
      }
      guard take("}") else { throw syntax("a character code that does not end") }
    } else {
      while text.unicodeScalars.count < digits, let scalar = next {
        text.unicodeScalars.append(scalar)
        index += 1
      }
      guard text.utf8.count == digits else { throw syntax("a character code of too few digits") }
    }
    // bytes from 0x80 on would be parts of characters
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x46).contains($0 & 0xDF) }),
      let value = UInt32(text, radix: 16), let scalar = UnicodeScalar(value),
      digits == 4 || text.utf8.count > 2 || value < 0x80
    else { throw syntax("no character of code \(quoted(text))") }
    return scalar
  }

  private mutating func property(negated: Bool) throws(TokenizerError) -> ScalarClass {
    guard take("{") else { throw unknown("a property without braces") }
    let isInverse = take("^") != negated
    var name = ""
    while let scalar = next, scalar != "}", name.utf8.count < 32 {
      name.unicodeScalars.append(scalar)
      index += 1
    }
    guard take("}") else { throw syntax("a property that does not end") }
    let found =
      name == "Han" ? .han : GeneralCategories.mask(named: name).map { ScalarClass(categories: $0) }
    guard let found else { throw unknown("the property \(quoted(name))") }
    guard !ignoresCase else { throw unknown("a property where case is ignored") }
    return isInverse ? found.complement : found
  }

  /// A set in brackets, whose `[` is at the cursor.
  mutating func set() throws(TokenizerError) -> ScalarClass {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthLimit else {
      throw TokenizerError(.tooLarge, "pattern \(shown) nests deeper than \(Self.depthLimit)")
    }
    guard !isNext("[:") else { throw unknown("a class \"[:\"") }
    index += 1
    let isNegated = take("^")
    guard !(isNegated && ignoresCase) else { throw unknown("a complement where case is ignored") }
    guard !isNext("]") else { throw unknown("a set that begins with \"]\"") }
    var whole: ScalarClass?
    var part = ScalarClass.empty
    while true {
      guard let scalar = next else { throw syntax("a set that does not end") }
      if take("]") { break }
      if take("&&") {
        whole = whole.map { $0.intersection(part) } ?? part
        part = .empty
        continue
      }
      part = part.union(scalar == "[" ? try set() : try member())
      guard part.rangeCount <= 4096 else {
        throw TokenizerError(.tooLarge, "pattern \(shown): a set of more than 4096 ranges")
      }
    }
    let result = whole.map { $0.intersection(part) } ?? part
    return isNegated ? result.complement : result
  }

  /// A class, a character or a range of characters in a set.
  private mutating func member() throws(TokenizerError) -> ScalarClass {
    let first: UnicodeScalar
    if next == "\\" {
      let (scalarClass, single) = try escapedClass()
      guard let single else {
        let isRange = isNext("-") && !isNext("-]")
        guard !isRange else { throw unknown("a range from a class") }
        return scalarClass ?? .empty
      }
      first = single
    } else {
      first = scalars[index]
      index += 1
    }
    guard isNext("-"), !isNext("-]"), index + 1 < scalars.count else {
      return try setCharacters(first, first)
    }
    index += 1
    guard next != "[", !isNext("&&") else { throw unknown("a range to a set") }
    var last = scalars[index]
    if last == "\\" {
      guard let single = try escapedClass().1 else { throw unknown("a range to a class") }
      last = single
    } else {
      index += 1
    }
    guard first <= last else { throw syntax("a range that ends before it begins") }
    return try setCharacters(first, last)
  }

  private func setCharacters(
    _ first: UnicodeScalar, _ last: UnicodeScalar
  ) throws(TokenizerError) -> ScalarClass {
    guard ignoresCase else { return ScalarClass(first.value...last.value) }
    guard last.isASCII else { throw unknown("a character beyond ASCII whose case is ignored") }
    return (first.value...last.value).reduce(.empty) { $0.union(Self.anyCase($1)) }
  }
}
