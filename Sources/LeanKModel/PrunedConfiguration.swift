public import ByteIO
public import LeanKMask
import StrictJSON

/// What `convert` makes of the weights.
public enum PruningLayout: String, Sendable, Hashable, CaseIterable {
  /// Rows of K and Q outside the closure are gone.
  case rows
  /// Weights as they were; the runtime caches the kept channels.
  case cache
  /// Dense shapes, K rows outside the closure are zero.
  case zeroed
}

/// The object `leank` in the config.json of a pruned checkpoint.
public struct PrunedConfiguration: Sendable, Hashable {
  /// Key of the object.
  public static let key = "leank"
  /// Version of the object's own layout.
  public static let specVersion = "1.0"
  public static let maskFileName = "mask.leank"

  /// Name of the mask's file beside config.json.
  public var maskFile: String
  /// Content id of the mask, 64 hexadecimal digits.
  public var maskContentID: String
  public var layout: PruningLayout
  public var deployment: DeploymentHints
  /// SHA-256 of the source's config.json and shard headers, 64 hexadecimal digits.
  public var sourceDigest: String

  public init(
    maskFile: String = Self.maskFileName, maskContentID: String, layout: PruningLayout,
    deployment: DeploymentHints, sourceDigest: String
  ) {
    self.maskFile = maskFile
    self.maskContentID = maskContentID
    self.layout = layout
    self.deployment = deployment
    self.sourceDigest = sourceDigest
  }

  /// Reads the object of a configuration, nil where there is none. Fails on a version, layout or
  /// mode that is not known and on anything that is not of its type.
  public init?(of configuration: ModelConfiguration) throws(ModelError) {
    guard let object = try configuration.root.object(Self.key) else { return nil }
    let version = try object.string("spec_version")
    guard version.split(separator: ".").first == "1" else {
      throw object.error(
        .unsupportedModel,
        "spec version \(quoted(version)) is not supported, known is \(Self.specVersion)",
        "spec_version")
    }
    maskFile = try object.string("mask_file")
    guard DirectoryHandle.isPlainName(maskFile) else {
      throw object.error(
        .outOfRange, "expected one path component, found \(quoted(maskFile))", "mask_file")
    }
    maskContentID = try object.digest("mask_content_id")
    sourceDigest = try object.digest("source_digest")
    layout = try object.choice("layout")
    let mode: MaskMode = try object.choice("mode")
    switch mode {
    case .static: deployment = .static
    case .windowed:
      let limit = Int(Int32.max)
      let sink = try object.integer("sink", in: 0...limit)
      let recent = try object.integer("recent", in: 0...limit)
      let accumulate = try object.integer("accumulate", in: 0...limit)
      do {
        deployment = .windowed(
          try AttentionWindow(sink: sink, recent: recent, accumulate: accumulate))
      } catch {
        throw object.error(
          .outOfRange, error.description, recent < 1 ? "recent" : "accumulate")
      }
    }
    guard mode == .static || layout == .cache else {
      throw object.error(
        .inconsistent, "mode windowed with layout \(layout.rawValue), which is always static",
        "mode")
    }
  }
}

extension ConfigurationObject {
  /// One of the raw values of an enumeration.
  fileprivate func choice<Value: RawRepresentable<String> & CaseIterable>(
    _ key: String
  ) throws(ModelError) -> Value {
    let text = try string(key)
    guard let value = Value(rawValue: text) else {
      let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
      throw error(
        .unsupportedModel, "\(quoted(text)) is not known; known are \(known)", key)
    }
    return value
  }

  /// A SHA-256 in hexadecimal digits.
  fileprivate func digest(_ key: String) throws(ModelError) -> String {
    let text = try string(key)
    guard text.utf8.count == 64,
      text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
    else {
      throw error(
        .outOfRange, "expected 64 lower-case hexadecimal digits, found \(quoted(text, limit: 70))",
        key)
    }
    return text
  }
}
