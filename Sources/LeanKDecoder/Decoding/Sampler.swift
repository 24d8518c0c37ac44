import RealModule

/// Chooses a token from logits.
public struct Sampler: Sendable {
  /// 0 takes the likeliest token, ties to the lowest id.
  public let temperature: Double
  /// Share of probability that the likeliest tokens have to have together; the others are left out.
  public let topP: Double
  private var random: SplitMix64

  /// nil unless `temperature` is at least 0 and finite, and `topP` above 0 and at most 1.
  public init?(temperature: Double = 0, topP: Double = 1, seed: UInt64 = 0) {
    guard temperature >= 0, temperature.isFinite, topP > 0, topP <= 1 else { return nil }
    self.temperature = temperature
    self.topP = topP
    random = SplitMix64(seed: seed)
  }

  /// A token for the logits of one position, [1, vocabulary], which are finite.
  public mutating func choose(_ logits: Matrix) -> Int {
    guard temperature > 0 else { return logits.argmax(row: 0) }
    let values = logits.row(0)
    let largest = Double(values.max() ?? 0)
    var candidates = values.enumerated().map { id, logit in
      (id: id, weight: Double.exp((Double(logit) - largest) / temperature))
    }
    if topP < 1 {
      candidates.sort { ($1.weight, $0.id) < ($0.weight, $1.id) }
      let share = topP * candidates.reduce(0) { $0 + $1.weight }
      var sum = 0.0
      let count = candidates.prefix { candidate in
        defer { sum += candidate.weight }
        return sum < share
      }.count
      candidates.removeLast(candidates.count - max(1, count))
    }
    var rest = uniform() * candidates.reduce(0) { $0 + $1.weight }
    for candidate in candidates {
      rest -= candidate.weight
      if rest < 0 { return candidate.id }
    }
    return candidates.last { $0.weight > 0 }?.id ?? logits.argmax(row: 0)
  }

  /// A number in 0..<1 with 53 bits.
  private mutating func uniform() -> Double {
    Double(random.next() >> 11) * 0x1p-53
  }
}
