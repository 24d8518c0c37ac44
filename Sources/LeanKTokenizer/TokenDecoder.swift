/// The way back from tokens to text: steps that each take pieces of text one at a time and hand on
/// what is certain.
///
/// Decoding a whole list and streaming a reply are the same code, so that what a stream has emitted in
/// all is what the list decodes to.
struct TokenDecoder: Sendable {
  private var steps: [Step]
  /// Whether pieces are joined with a space, as they are where a file names no decoder.
  private let joinsWithSpaces: Bool
  private var isFirst = true

  /// What a file names; `nil` where it names nothing.
  init(_ kinds: [Kind]?) {
    var isFused = false
    steps = []
    for kind in kinds ?? [] {
      steps.append(Step(kind: kind, isFused: isFused))
      isFused = isFused || kind.fuses
    }
    joinsWithSpaces = kinds == nil
  }

  enum Kind: Sendable {
    /// Characters of GPT-2's alphabet are bytes; what is no UTF-8 becomes U+FFFD.
    case byteLevel
    /// Tokens `<0x00>` to `<0xFF>` are bytes; if those in a row are no UTF-8, each becomes U+FFFD.
    case byteFallback
    /// All pieces are one from here on.
    case fuse
    /// Up to so many of a scalar are removed from each piece.
    case strip(UInt32, start: Int, stop: Int)
    case replace(TextPattern, [UInt8])
    /// `replacement` is a space, except at the very beginning where one had been put there.
    case metaspace(replacement: UInt32, dropsFirst: Bool)

    var fuses: Bool {
      switch self {
      case .byteLevel, .fuse: true
      default: false
      }
    }
  }

  /// What `token` adds to the text.
  mutating func append(_ token: [UInt8]) throws(TokenizerError) -> [UInt8] {
    var pieces = [token]
    if joinsWithSpaces, !isFirst { pieces[0].insert(0x20, at: 0) }
    isFirst = false
    for index in steps.indices {
      var next: [[UInt8]] = []
      for piece in pieces { try steps[index].append(piece, to: &next) }
      pieces = next
    }
    return pieces.count == 1 ? pieces[0] : Array(pieces.joined())
  }

  /// What is still held back, now that no token follows.
  mutating func finish() throws(TokenizerError) -> [UInt8] {
    var pieces: [[UInt8]] = []
    for index in steps.indices {
      var next: [[UInt8]] = []
      for piece in pieces { try steps[index].append(piece, to: &next) }
      try steps[index].finish(&next)
      pieces = next
    }
    return Array(pieces.joined())
  }
}

extension TokenDecoder {
  /// One step and what it holds back.
  private struct Step: Sendable {
    let kind: Kind
    /// Whether all pieces are parts of one.
    let isFused: Bool
    private var held: [UInt8] = []
    private var isFirst = true
    /// How many scalars may still be removed from the start of the one piece.
    private var startLeft = 0

    init(kind: Kind, isFused: Bool) {
      self.kind = kind
      self.isFused = isFused
      if case .strip(_, let start, _) = kind { startLeft = start }
    }

    mutating func append(_ piece: [UInt8], to result: inout [[UInt8]]) throws(TokenizerError) {
      if isFused {
        switch kind {
        case .fuse: result.append(piece)
        case .strip(let scalar, _, let stop):
          held.append(contentsOf: piece)
          result.append(takeStripped(scalar, stop: stop))
        default:
          // no part of the one piece says what becomes of the whole
          held.append(contentsOf: piece)
        }
        return
      }
      switch kind {
      case .byteLevel:
        held.append(contentsOf: DecodedText.bytes(of: piece))
        result.append(DecodedText.takeWhole(from: &held))
      case .byteFallback:
        if let byte = DecodedText.fallbackByte(piece) {
          held.append(byte)
        } else {
          flushBytes(to: &result)
          result.append(piece)
        }
      case .fuse: result.append(piece)
      case .strip(let scalar, let start, let stop):
        result.append(DecodedText.stripped(piece, scalar, start: start, stop: stop))
      case .replace(let pattern, let content):
        result.append(try DecodedText.replaced(piece, pattern, content))
      case .metaspace(let replacement, let dropsFirst):
        result.append(DecodedText.spaced(piece, replacement, drops: dropsFirst && isFirst))
        isFirst = false
      }
    }

    mutating func finish(_ result: inout [[UInt8]]) throws(TokenizerError) {
      if isFused, kind.holdsFused {
        var whole = Step(kind: kind, isFused: false)
        try whole.append(held, to: &result)
        try whole.finish(&result)
      } else {
        switch kind {
        case .byteLevel: result.append(Array(String(decoding: held, as: UTF8.self).utf8))
        case .byteFallback: flushBytes(to: &result)
        case .strip(let scalar, _, let stop):
          result.append(DecodedText.stripped(held, scalar, start: startLeft, stop: stop))
        case .fuse, .replace, .metaspace: break
        }
      }
      held = []
    }

    /// Hands on the bytes held back: as text, or U+FFFD for each of them.
    private mutating func flushBytes(to result: inout [[UInt8]]) {
      guard !held.isEmpty else { return }
      if String(validating: held, as: UTF8.self) != nil {
        result.append(held)
      } else {
        for _ in held { result.append([0xEF, 0xBF, 0xBD]) }
      }
      held = []
    }

    /// What of the one piece is certain: without the scalars at its start, and without the last ones,
    /// which may be its end.
    private mutating func takeStripped(_ scalar: UInt32, stop: Int) -> [UInt8] {
      let start = DecodedText.leading(scalar, in: held, most: startLeft)
      if start.bytes < held.count { startLeft = 0 } else { startLeft -= start.count }
      let end = held.count - DecodedText.trailing(scalar, in: held, most: stop)
      let taken = start.bytes < end ? Array(held[start.bytes..<end]) : []
      held.removeSubrange(..<max(start.bytes, end))
      return taken
    }
  }
}

extension TokenDecoder.Kind {
  /// Whether a step says nothing of one piece before it is whole.
  fileprivate var holdsFused: Bool {
    switch self {
    case .fuse, .strip: false
    case .byteLevel, .byteFallback, .replace, .metaspace: true
    }
  }
}
