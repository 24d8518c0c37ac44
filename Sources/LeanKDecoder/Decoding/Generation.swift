public import ByteIO

/// A model that goes on with a text: a session, and how its tokens are chosen.
public struct Generation {
  public private(set) var session: DecodingSession
  private var sampler: Sampler
  private let compute: ComputeContext

  /// Goes on in a session that is still empty.
  public init(_ session: DecodingSession, _ sampler: Sampler, _ compute: ComputeContext) {
    self.session = session
    self.sampler = sampler
    self.compute = compute
  }

  /// Takes a prompt through the model and chooses the token after it.
  public mutating func prefill(_ tokens: [Int32]) throws(DecoderError) -> Int32 {
    guard !tokens.isEmpty else {
      throw DecoderError(.promptLength, "a prompt without tokens")
    }
    return try choose(after: try session.prefill(tokens, compute))
  }

  /// Takes a token through the model and chooses the one after it.
  ///
  /// Where a rotation changes with the number of tokens, all of them go through again, as if they had
  /// been given.
  public mutating func step(_ token: Int32) throws(DecoderError) -> Int32 {
    guard session.rotationsChange(at: session.count + 1) else {
      return try choose(after: try session.step(token, compute))
    }
    let tokens = session.history + [token]
    let prompt = session.promptEnd
    session = try session.restarted(length: tokens.count)
    return try choose(after: try session.forward(tokens, prompt: prompt, compute))
  }

  private mutating func choose(after hidden: Matrix) throws(DecoderError) -> Int32 {
    let logits = try session.logits(hidden.lastRow, compute)
    if let place = logits.values.firstIndex(where: { !$0.isFinite }) {
      throw DecoderError(
        .notFinite,
        "the logit of token \(place) is \(logits.values[place]) after \(session.count) tokens")
    }
    return Int32(sampler.choose(logits))
  }
}
