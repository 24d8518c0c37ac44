import ByteIO

/// A pattern compiled into instructions of a backtracking machine.
struct PatternProgram: Sendable {
  /// Most instructions: counts are written out.
  static let sizeLimit = 8192

  enum Instruction: Sendable {
    /// One scalar of a class.
    case scalar(Int)
    /// As many scalars of a class as there are, `least` to `most`; fewer are tried later unless the
    /// run is possessive.
    case run(Int, least: Int, most: Int, possessive: Bool)
    /// Tries `first`, later `second`; at once `second` where the gate is shut.
    case split(first: Int, second: Int, gate: Int)
    case jump(Int)
    /// The instructions that follow, up to their `accept`, match here, or `back` scalars before;
    /// goes on at `end`.
    case look(end: Int, back: Int, negative: Bool)
    case atomic(end: Int)
    case lineStart, lineEnd, textStart, textEnd
    case wordBoundary(negative: Bool)
    case accept
  }

  /// What a byte has to be for a branch to be worth a try.
  struct Gate: Sendable, Equatable {
    var low: UInt64 = 0
    var high: UInt64 = 0
    /// Whether a scalar beyond ASCII may begin it.
    var other = false

    func admits(_ byte: UInt8) -> Bool {
      if byte >= 0x80 { return other }
      return (byte < 64 ? low >> UInt64(byte) : high >> UInt64(byte - 64)) & 1 == 1
    }

    mutating func formUnion(_ gate: Gate) {
      low |= gate.low
      high |= gate.high
      other = other || gate.other
    }
  }

  /// A class whose ASCII part is looked up at once.
  struct Class: Sendable {
    let ascii: Gate
    let scalars: ScalarClass

    init(_ scalars: ScalarClass) {
      var gate = Gate(other: true)
      for value in UInt32(0)..<64 where scalars.contains(value) { gate.low |= 1 << UInt64(value) }
      for value in UInt32(64)..<128 where scalars.contains(value) {
        gate.high |= 1 << UInt64(value - 64)
      }
      ascii = gate
      self.scalars = scalars
    }
  }

  private(set) var instructions: [Instruction] = []
  private(set) var classes: [Class] = []
  private(set) var gates: [Gate] = []
  /// What a match begins with.
  private(set) var first = Gate()
  private var known: [ScalarClass] = []

  init(_ node: PatternNode) throws(TokenizerError) {
    guard node.width.least > 0 else {
      throw TokenizerError(
        .unsupportedPattern, "a pattern that matches nothing at all is not something leank computes"
      )
    }
    try compile(node)
    try append(.accept)
    first = Self.opening(of: node).gate
  }

  private mutating func append(_ instruction: Instruction) throws(TokenizerError) {
    guard instructions.count < Self.sizeLimit else {
      throw TokenizerError(.tooLarge, "a pattern of more than \(Self.sizeLimit) steps")
    }
    instructions.append(instruction)
  }

  private mutating func index(of scalars: ScalarClass) -> Int {
    if let index = known.firstIndex(of: scalars) { return index }
    known.append(scalars)
    classes.append(Class(scalars))
    return classes.count - 1
  }

  private mutating func compile(_ node: PatternNode) throws(TokenizerError) {
    switch node {
    case .scalar(let scalars): try append(.scalar(index(of: scalars)))
    case .sequence(let parts): for part in parts { try compile(part) }
    case .alternatives(let parts): try compile(alternatives: parts)
    case .repetition(let inner, let least, let most, let greed):
      if case .scalar(let scalars) = inner, greed != .lazy {
        let most = most ?? .max
        try append(
          .run(
            index(of: scalars), least: least, most: most, possessive: greed == .possessive))
      } else if greed == .possessive {
        try compile(.atomic(.repetition(inner, least: least, most: most, .greedy)))
      } else {
        try compile(inner, least: least, most: most, isLazy: greed == .lazy)
      }
    case .look(let inner, let ahead, let negative):
      let width = inner.width
      guard ahead || width.most == width.least else {
        throw TokenizerError(
          .unsupportedPattern, "a look behind of no fixed width is not something leank computes")
      }
      try compile(inner) { .look(end: $0, back: ahead ? 0 : width.least, negative: negative) }
    case .atomic(let inner): try compile(inner) { .atomic(end: $0) }
    case .lineStart: try append(.lineStart)
    case .lineEnd: try append(.lineEnd)
    case .textStart: try append(.textStart)
    case .textEnd: try append(.textEnd)
    case .wordBoundary(let negative): try append(.wordBoundary(negative: negative))
    }
  }

  /// `node` as a pattern of its own, behind an instruction that says where it ends.
  private mutating func compile(
    _ node: PatternNode, behind instruction: (_ end: Int) -> Instruction
  ) throws(TokenizerError) {
    let start = instructions.count
    try append(.accept)
    try compile(node)
    try append(.accept)
    instructions[start] = instruction(instructions.count)
  }

  private mutating func compile(alternatives parts: [PatternNode]) throws(TokenizerError) {
    var jumps: [Int] = []
    for part in parts.dropLast() {
      let split = instructions.count
      try append(.accept)
      try compile(part)
      jumps.append(instructions.count)
      try append(.accept)
      instructions[split] = .split(
        first: split + 1, second: instructions.count, gate: gate(of: part))
    }
    if let last = parts.last { try compile(last) }
    for jump in jumps { instructions[jump] = .jump(instructions.count) }
  }

  private mutating func compile(
    _ node: PatternNode, least: Int, most: Int?, isLazy: Bool
  ) throws(TokenizerError) {
    for _ in 0..<least { try compile(node) }
    let gate = gate(of: node)
    func split(from start: Int, to end: Int) -> Instruction {
      isLazy
        ? .split(first: end, second: start + 1, gate: -1)
        : .split(first: start + 1, second: end, gate: gate)
    }
    guard let most else {
      let start = instructions.count
      try append(.accept)
      try compile(node)
      try append(.jump(start))
      instructions[start] = split(from: start, to: instructions.count)
      return
    }
    var starts: [Int] = []
    for _ in least..<max(least, most) {
      starts.append(instructions.count)
      try append(.accept)
      try compile(node)
    }
    for start in starts { instructions[start] = split(from: start, to: instructions.count) }
  }

  /// The gate of a branch, -1 where it may begin with anything.
  private mutating func gate(of node: PatternNode) -> Int {
    let opening = Self.opening(of: node)
    guard !opening.isEmptyPossible else { return -1 }
    gates.append(opening.gate)
    return gates.count - 1
  }

  /// The bytes that a match of `node` may begin with, and whether it may take no text.
  private static func opening(of node: PatternNode) -> (gate: Gate, isEmptyPossible: Bool) {
    switch node {
    case .scalar(let scalars):
      return (Class(scalars).ascii, false)
    case .sequence(let parts):
      var gate = Gate()
      for part in parts {
        let opening = opening(of: part)
        gate.formUnion(opening.gate)
        if !opening.isEmptyPossible { return (gate, false) }
      }
      return (gate, true)
    case .alternatives(let parts):
      var gate = Gate()
      var isEmptyPossible = false
      for part in parts {
        let opening = opening(of: part)
        gate.formUnion(opening.gate)
        isEmptyPossible = isEmptyPossible || opening.isEmptyPossible
      }
      return (gate, isEmptyPossible)
    case .repetition(let inner, let least, let most, _):
      let opening = opening(of: inner)
      return most == 0 ? (Gate(), true) : (opening.gate, least == 0 || opening.isEmptyPossible)
    case .atomic(let inner): return opening(of: inner)
    case .look, .lineStart, .lineEnd, .textStart, .textEnd, .wordBoundary: return (Gate(), true)
    }
  }
}
