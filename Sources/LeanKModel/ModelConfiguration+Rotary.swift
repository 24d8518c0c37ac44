import ByteIO
import LeanKMask

extension ModelConfiguration {
  /// What a family's class in transformers reads, and what it assumes where the file is silent.
  struct RotaryDefaults {
    var theta = 10_000.0
    /// Share of the head that is rotated; nil where the class rotates all of it, whatever the file
    /// says.
    var partial: Double?
    /// Names of `rope_theta` and `partial_rotary_factor` outside the object of parameters.
    var thetaKey = "rope_theta"
    var partialKey = "partial_rotary_factor"
    /// Phi-3: the trained length where the file gives none beside the object of parameters; one
    /// inside is not looked at. Longrope is the one scaling there, under three names.
    var phiPositions: Int?
    /// How frequencies are stretched where the file has no object of parameters at all.
    var scaling = RotaryScaling.default

    /// Another base, the rest as usual.
    static func theta(_ theta: Double) -> Self { Self(theta: theta) }
  }

  /// Rotation of heads of `headDim` channels in a family where all layers rotate alike: from
  /// `rope_parameters` (transformers 5) or from `rope_scaling` (transformers 4, which wins as a whole
  /// where it is not empty), with what neither has taken from beside them.
  func rotary(
    headDim: Int, pairing: RotaryPairing = .half, defaults: RotaryDefaults = RotaryDefaults()
  ) throws(ModelError) -> RotaryDescription {
    var object = try root.object("rope_scaling")
    if object?.isEmpty ?? true { object = try root.object("rope_parameters") }
    let parameters = RotaryParameters([object])
    try parameters.checkFlat()
    return try rotation(
      parameters, headDim: headDim, pairing: pairing, defaults: defaults, isNested: false)
  }

  /// The same for the layers of one type where `rope_parameters` has an object for each: what stands
  /// beside the objects is not looked at, and `rope_scaling`, where it counts, changes single keys.
  func rotary(
    headDim: Int, layerType: String, takesScaling: Bool, defaults: RotaryDefaults
  ) throws(ModelError) -> RotaryDescription {
    let outer = try root.object("rope_parameters")
    let own = try outer?.object(layerType)
    let scaling = takesScaling ? try root.object("rope_scaling") : nil
    if let scaling {
      try RotaryParameters([scaling]).checkFlat()
      // Version 5 takes over the keys as they are, and finds the type of its own default in place.
      guard own != nil || scaling.contains("rope_type") || !scaling.contains("type") else {
        throw scaling.error(
          .unsupportedModel,
          "transformers 4 takes this for rope_type and transformers 5 does not: name it rope_type",
          "type")
      }
      guard outer == nil || own != nil else {
        throw root.error(
          .unsupportedModel,
          "rope_scaling stands beside rope_parameters without an object \(quoted(layerType)) that it "
            + "could change: remove the one that is not meant", "rope_scaling")
      }
    }
    return try rotation(
      RotaryParameters([scaling, own]), headDim: headDim, pairing: .half, defaults: defaults,
      isNested: true)
  }

  private func rotation(
    _ parameters: RotaryParameters, headDim: Int, pairing: RotaryPairing, defaults: RotaryDefaults,
    isNested: Bool
  ) throws(ModelError) -> RotaryDescription {
    let theta = try base(parameters, defaults)
    let type = try parameters.scalingType(
      RotaryScalingReader.known(
        isPhi: defaults.phiPositions != nil, hasThreePositions: hasThreePositions))
    let partial = try share(parameters, defaults, isScaled: type != nil)
    let width = Int(Double(headDim) * partial)
    guard let geometry = try? RotaryGeometry(width: width, pairing: pairing), width > 0 else {
      throw root.error(
        .inconsistent, "\(width) rotated channels of head_dim \(headDim) do not form pairs",
        "head_dim")
    }
    let reader = RotaryScalingReader(
      root: root, parameters: parameters, pairs: width / 2, isNested: isNested,
      phiPositions: defaults.phiPositions)
    return RotaryDescription(
      geometry: geometry, theta: theta,
      scaling: parameters.isAbsent ? defaults.scaling : try reader.scaling(type))
  }

  /// `rope_theta` of the parameters, else the one beside them, else the class's own.
  private func base(
    _ parameters: RotaryParameters, _ defaults: RotaryDefaults
  ) throws(ModelError) -> Double {
    for (object, key) in [(parameters["rope_theta"], "rope_theta"), (root, defaults.thetaKey)] {
      // A null is not replaced by the default there, and then fails.
      guard let object, object.mentions(key) else { continue }
      return try object.positive(key)
    }
    return defaults.theta
  }

  /// The share of the head that is rotated.
  private func share(
    _ parameters: RotaryParameters, _ defaults: RotaryDefaults, isScaled: Bool
  ) throws(ModelError) -> Double {
    var given: (value: Double, object: ConfigurationObject, key: String)?
    for (object, key) in [
      (parameters["partial_rotary_factor"], "partial_rotary_factor"), (root, defaults.partialKey),
    ] {
      guard let object, object.contains(key) || defaults.partial != nil && object.mentions(key)
      else { continue }
      given = (try object.number(key), object, key)
      break
    }
    guard let fallback = defaults.partial else {
      // Frequencies that are scaled are as many as the share says, and do not fit the whole head.
      if isScaled, let given, given.value != 1 {
        throw given.object.error(
          .unsupportedModel,
          "the family rotates whole heads, and a share of \(given.value) does not go with a RoPE "
            + "scaling there", given.key)
      }
      return 1
    }
    guard let given else { return fallback }
    guard given.value > 0, given.value <= 1 else {
      throw given.object.error(
        .outOfRange, "expected a share above 0 and up to 1, found \(given.value)", given.key)
    }
    return given.value
  }
}
