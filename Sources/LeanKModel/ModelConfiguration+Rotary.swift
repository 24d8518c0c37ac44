import ByteIO
import LeanKMask
import RealModule

extension ModelConfiguration {
  /// What a family assumes where the file is silent.
  struct RotaryDefaults {
    var theta = 10_000.0
    /// Share of the head that is rotated.
    var partial = 1.0
    /// Old names of `rope_theta` and `partial_rotary_factor`.
    var thetaKey = "rope_theta"
    var partialKey = "partial_rotary_factor"
  }

  /// Rotation of heads of `headDim` channels, from `rope_parameters` (transformers 5, which may nest
  /// one object per layer type) or from `rope_theta` and `rope_scaling` (transformers 4).
  func rotary(
    headDim: Int, pairing: RotaryPairing = .half, layerType: String? = nil,
    defaults: RotaryDefaults = RotaryDefaults()
  ) throws(ModelError) -> RotaryDescription {
    var parameters = try root.object("rope_parameters")
    if let layerType, let nested = try parameters?.object(layerType) { parameters = nested }
    var scaling = parameters
    if scaling == nil { scaling = try root.object("rope_scaling") }

    let theta = try Self.first(
      [(parameters, "rope_theta"), (root, "rope_theta"), (root, defaults.thetaKey)],
      else: defaults.theta)
    guard theta > 0 else {
      throw root.error(.outOfRange, "expected a number above 0, found \(theta)", "rope_theta")
    }
    let partial = try Self.first(
      [
        (parameters, "partial_rotary_factor"), (root, "partial_rotary_factor"),
        (root, defaults.partialKey),
      ], else: defaults.partial)
    guard partial > 0, partial <= 1 else {
      throw root.error(
        .outOfRange, "expected a share above 0 and up to 1, found \(partial)",
        "partial_rotary_factor")
    }
    let width = Int(Double(headDim) * partial)
    guard let geometry = try? RotaryGeometry(width: width, pairing: pairing), width > 0 else {
      throw root.error(
        .inconsistent, "\(width) rotated channels of head_dim \(headDim) do not form pairs",
        "head_dim")
    }
    return RotaryDescription(
      geometry: geometry, theta: theta, scaling: try self.scaling(scaling, pairs: width / 2))
  }

  /// The first of some numbers that is given.
  private static func first(
    _ places: [(object: ConfigurationObject?, key: String)], else fallback: Double
  ) throws(ModelError) -> Double {
    for (object, key) in places {
      if let number = try object?.optionalNumber(key) { return number }
    }
    return fallback
  }

  /// How the frequencies are stretched; `pairs` is the length that lists of factors must have.
  private func scaling(
    _ object: ConfigurationObject?, pairs: Int
  ) throws(ModelError) -> RotaryScaling {
    guard let object else { return .default }
    let key = object.contains("rope_type") ? "rope_type" : "type"
    let type = try object.string(key, default: "default")
    switch type {
    // Qwen's three positions (time, height, width) are one for text.
    case "default", "mrope": return .default
    case "linear": return .linear(factor: try object.positive("factor"))
    case "dynamic":
      return .dynamic(
        factor: try object.positive("factor"), originalPositions: try maximumPositions())
    case "llama3":
      let low = try object.positive("low_freq_factor")
      let high = try object.positive("high_freq_factor")
      guard high > low else {
        throw object.error(
          .outOfRange, "expected more than low_freq_factor \(low), found \(high)",
          "high_freq_factor")
      }
      return .llama3(
        factor: try object.positive("factor"), lowFrequencyFactor: low, highFrequencyFactor: high,
        originalPositions: try originalPositions(object))
    case "yarn": return try yarn(object)
    case "longrope", "su": return try longrope(object, pairs: pairs)
    default:
      throw object.error(
        .unsupportedModel,
        "RoPE scaling \(quoted(type)) is not supported; known are default, linear, dynamic, llama3, "
          + "yarn, longrope", key)
    }
  }

  private func yarn(_ object: ConfigurationObject) throws(ModelError) -> RotaryScaling {
    let original = try originalPositions(object)
    let factor: Double
    if object.contains("factor") {
      factor = try object.positive("factor")
    } else {
      factor = Double(try maximumPositions()) / Double(original)
    }
    let attention: Double
    if let given = try object.optionalNumber("attention_factor") {
      attention = given
    } else if let scale = try object.optionalNumber("mscale"),
      let allDimensions = try object.optionalNumber("mscale_all_dim"), scale != 0,
      allDimensions != 0
    {
      attention = Self.yarnScale(factor, scale) / Self.yarnScale(factor, allDimensions)
    } else {
      attention = Self.yarnScale(factor, 1)
    }
    return .yarn(
      factor: factor, originalPositions: original,
      betaFast: try object.positive("beta_fast", default: 32),
      betaSlow: try object.positive("beta_slow", default: 1),
      truncate: try object.bool("truncate", default: true), attentionFactor: attention)
  }

  private static func yarnScale(_ factor: Double, _ scale: Double) -> Double {
    factor <= 1 ? 1 : 0.1 * scale * Double.log(factor) + 1
  }

  private func longrope(
    _ object: ConfigurationObject, pairs: Int
  ) throws(ModelError) -> RotaryScaling {
    let original = try originalPositions(object)
    var lists: [[Double]] = []
    for key in ["short_factor", "long_factor"] {
      let list = try object.numbers(key)
      guard list.count == pairs, list.allSatisfy({ $0 > 0 }) else {
        throw object.error(
          .outOfRange,
          "expected \(pairs) numbers above 0, one per pair, found \(list.count) numbers",
          key)
      }
      lists.append(list)
    }
    let factor: Double
    if object.contains("factor") {
      factor = try object.positive("factor")
    } else {
      factor = Double(try maximumPositions()) / Double(original)
    }
    let derived =
      factor > 1 ? (1 + Double.log(factor) / Double.log(Double(original))).squareRoot() : 1
    let attention = try object.number("attention_factor", default: derived)
    guard attention.isFinite else {
      throw object.error(
        .outOfRange, "expected more than 1, found \(original)", "original_max_position_embeddings")
    }
    return .longrope(
      shortFactor: lists[0], longFactor: lists[1], originalPositions: original,
      attentionFactor: attention)
  }

  /// `original_max_position_embeddings` of the scaling, or of the model (Phi-3 has it there), or the
  /// maximum where neither says.
  private func originalPositions(_ object: ConfigurationObject) throws(ModelError) -> Int {
    let key = "original_max_position_embeddings"
    let range = 1...Self.sizeLimit
    if let own = try object.optionalInteger(key, in: range) { return own }
    if let outer = try root.optionalInteger(key, in: range) { return outer }
    return try maximumPositions()
  }

  private func maximumPositions() throws(ModelError) -> Int {
    try root.integer("max_position_embeddings", in: 1...Self.sizeLimit)
  }
}
