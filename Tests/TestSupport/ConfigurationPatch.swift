import Foundation

/// A config.json as an object that tests change.
public struct ConfigurationPatch {
  /// The object in the file.
  public private(set) var root: [String: Any]

  /// The configuration of a checkpoint of `Fixtures/Reference`.
  public init(_ reference: String, _ dialect: Reference.Dialect = .transformers5) throws {
    root = try Self.object("Reference/\(reference)/\(dialect.rawValue)")
  }

  /// The object in a file of `Fixtures/`.
  public static func object(_ name: String) throws -> [String: Any] {
    let json = try JSONSerialization.jsonObject(with: Data(try Fixtures.bytes(name)))
    return json as? [String: Any] ?? [:]
  }

  /// The language model's keys: those of `text_config` where there is one.
  public var text: [String: Any] {
    get { root["text_config"] as? [String: Any] ?? root }
    set {
      if root["text_config"] == nil { root = newValue } else { root["text_config"] = newValue }
    }
  }

  public var modelType: String { root["model_type"] as? String ?? "" }

  public mutating func set(_ key: String, to value: Any?) { root[key] = value }

  public var bytes: [UInt8] {
    get throws { [UInt8](try JSONSerialization.data(withJSONObject: root)) }
  }
}
