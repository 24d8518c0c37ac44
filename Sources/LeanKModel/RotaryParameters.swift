import ByteIO
import RealModule
import StrictJSON

/// The objects that say how to rotate, the first with a key winning.
struct RotaryParameters {
  private let objects: [ConfigurationObject]

  init(_ objects: [ConfigurationObject?]) { self.objects = objects.compactMap { $0 } }

  /// Whether the file gives none.
  var isAbsent: Bool { objects.isEmpty }

  /// The object that has `key`, be it null; nil where none has.
  subscript(key: String) -> ConfigurationObject? {
    objects.first { $0.mentions(key) }
  }

  /// Fails where parameters are nested by layer type: a family whose layers all rotate alike has no
  /// way to choose between them.
  func checkFlat() throws(ModelError) {
    for object in objects {
      guard let nested = object.value.children.first(where: { $0.1.kind == .object }) else {
        continue
      }
      throw object.error(
        .unsupportedModel,
        "the parameters are nested by layer type, and all layers of this family rotate alike: put "
          + "those that are meant in place of the object", escaped(nested.0))
    }
  }

  /// `rope_type`, or `type` as it was called, if it is one of `known`; nil where nothing is scaled.
  func scalingType(_ known: [String]) throws(ModelError) -> String? {
    for key in ["rope_type", "type"] {
      guard let object = self[key] else { continue }
      let name = try object.string(key)
      guard name != "default" else { return nil }
      guard known.contains(name) else {
        throw object.error(
          .unsupportedModel,
          "RoPE scaling \(quoted(name)) is not supported in this family; known are default, "
            + known.joined(separator: ", "), key)
      }
      return name
    }
    return nil
  }
}

/// Reads how frequencies are stretched.
struct RotaryScalingReader {
  let root: ConfigurationObject
  let parameters: RotaryParameters
  /// Length that lists of factors must have.
  let pairs: Int
  /// Whether the parameters are those of one layer type, for which nothing beside them counts.
  let isNested: Bool
  let phiPositions: Int?

  /// What `scalingType` may be.
  static func known(isPhi: Bool, hasThreePositions: Bool) -> [String] {
    if isPhi { return ["longrope", "su", "yarn"] }
    return ["linear", "dynamic", "llama3", "yarn", "longrope"]
      + (hasThreePositions ? ["mrope"] : [])
  }

  func scaling(_ type: String?) throws(ModelError) -> RotaryScaling {
    switch type {
    case .some where phiPositions != nil: return try longrope()
    case "linear": return .linear(factor: try positive("factor"))
    case "dynamic":
      return .dynamic(factor: try positive("factor"), originalPositions: try maximumPositions())
    case "llama3":
      let low = try positive("low_freq_factor")
      let high = try positive("high_freq_factor")
      guard high > low else {
        throw object("high_freq_factor").error(
          .outOfRange, "expected more than low_freq_factor \(low), found \(high)",
          "high_freq_factor")
      }
      return .llama3(
        factor: try positive("factor"), lowFrequencyFactor: low, highFrequencyFactor: high,
        originalPositions: try originalPositions())
    case "yarn": return try yarn()
    case "longrope": return try longrope()
    // None, or Qwen's three positions (time, height, width), which are one for text.
    default: return .default
    }
  }

  private func yarn() throws(ModelError) -> RotaryScaling {
    let original = try originalPositions()
    guard parameters["factor"] != nil else {
      throw object("factor").error(.missingKey, "the key is missing", "factor")
    }
    let factor = try self.factor(original)
    let fast = try optionalNumber("beta_fast") ?? 32
    let slow = try optionalNumber("beta_slow") ?? 1
    let attention: Double
    if let given = try optionalNumber("attention_factor") {
      attention = given
    } else if let scale = try optionalNumber("mscale"),
      let allDimensions = try optionalNumber("mscale_all_dim"), scale != 0, allDimensions != 0
    {
      attention = Self.yarnScale(factor, scale) / Self.yarnScale(factor, allDimensions)
    } else {
      attention = Self.yarnScale(factor, 1)
    }
    for (key, value) in [("beta_fast", fast), ("beta_slow", slow)] where value <= 0 {
      throw object(key).error(.outOfRange, "expected a number above 0, found \(value)", key)
    }
    return .yarn(
      factor: factor, originalPositions: original, betaFast: fast, betaSlow: slow,
      truncate: try object("truncate").bool("truncate", default: true), attentionFactor: attention)
  }

  private static func yarnScale(_ factor: Double, _ scale: Double) -> Double {
    factor <= 1 ? 1 : 0.1 * scale * Double.log(factor) + 1
  }

  private func longrope() throws(ModelError) -> RotaryScaling {
    let original = try originalPositions()
    var lists: [[Double]] = []
    for key in ["short_factor", "long_factor"] {
      let list = try object(key).numbers(key)
      guard list.count == pairs, list.allSatisfy({ $0 > 0 }) else {
        throw object(key).error(
          .outOfRange,
          "expected \(pairs) numbers above 0, one per pair, found \(list.count) numbers",
          key)
      }
      lists.append(list)
    }
    let factor = try self.factor(original)
    let derived =
      factor > 1 ? (1 + Double.log(factor) / Double.log(Double(original))).squareRoot() : 1
    let attention = try optionalNumber("attention_factor") ?? derived
    guard attention.isFinite else {
      throw object(Self.originalKey).error(
        .outOfRange, "expected more than 1, found \(original)", Self.originalKey)
    }
    return .longrope(
      shortFactor: lists[0], longFactor: lists[1], originalPositions: original,
      attentionFactor: attention)
  }

  // MARK: - Numbers

  private static let originalKey = "original_max_position_embeddings"

  /// Where `key` stands, else where it ought to.
  private func object(_ key: String) -> ConfigurationObject {
    parameters[key] ?? parameters["rope_type"] ?? parameters["type"] ?? root
  }

  private func positive(_ key: String) throws(ModelError) -> Double {
    try object(key).positive(key)
  }

  private func optionalNumber(_ key: String) throws(ModelError) -> Double? {
    try object(key).optionalNumber(key)
  }

  /// `factor`, or by how much the model's positions are more than the trained ones.
  private func factor(_ original: Int) throws(ModelError) -> Double {
    guard parameters["factor"]?.contains("factor") ?? false else {
      return Double(try maximumPositions()) / Double(original)
    }
    return try positive("factor")
  }

  /// Positions that the model was trained on. One beside the parameters wins over one inside, except
  /// where they are those of a layer type; where there is neither, it is the maximum.
  private func originalPositions() throws(ModelError) -> Int {
    let key = Self.originalKey
    if !isNested, root.contains(key) { return try root.positions(key) }
    if let phiPositions { return phiPositions }
    if let own = parameters[key], own.contains(key) { return try own.positions(key) }
    return try maximumPositions()
  }

  private func maximumPositions() throws(ModelError) -> Int {
    try root.integer(
      "max_position_embeddings", in: 1...ModelConfiguration.sizeLimit, default: phiPositions)
  }
}

extension ConfigurationObject {
  /// A whole number of positions, which some files write as a real.
  fileprivate func positions(_ key: String) throws(ModelError) -> Int {
    let found = try number(key)
    guard let count = Int(exactly: found), (1...ModelConfiguration.sizeLimit).contains(count) else {
      throw error(
        .outOfRange,
        "expected a whole number from 1 to \(ModelConfiguration.sizeLimit), found \(found)", key)
    }
    return count
  }
}
