import Foundation
import LeanKMask
import StrictJSON
import TestSupport

@testable import LeanKModel

/// A tiny model of transformers: config.json, shapes of tensors, and what its cache held in a run.
struct CacheFixture: Sendable {
  let name: String
  /// The text of config.json.
  let config: [UInt8]
  let shapes: [String: [Int]]
  /// Of each layer KV heads and width of keys, then of values; nil without a K cache of heads.
  let cache: [[Int]?]

  static let all: [CacheFixture] = (try? read()) ?? []

  private static func read() throws -> [CacheFixture] {
    let bytes = try Fixtures.bytes("Caches/models.json")
    let models = try JSONDocument(bytes, valueLimit: bytes.count).root["models"]
    return members(models).map { name, model in
      CacheFixture(
        name: name, config: model["config"].map { Array(bytes[$0.byteRange]) } ?? [],
        shapes: shapes(model["tensors"]),
        cache: members(model["cache"]).map { layer in
          layer.value.isNull ? nil : layer.value.values.compactMap(\.integer)
        })
    }
  }

  private static func members(_ value: JSONValue?) -> [(key: String, value: JSONValue)] {
    value.map { Array($0.children) } ?? []
  }

  private static func shapes(_ tensors: JSONValue?) -> [String: [Int]] {
    var result: [String: [Int]] = [:]
    for (pattern, shapes) in members(tensors) {
      for (shape, layers) in shapes.children {
        let sizes = shape.split(separator: "x").compactMap { Int($0) }
        for layer in layers.values {
          var name = pattern
          if let star = name.firstIndex(of: "*") {
            name.replaceSubrange(star...star, with: String(layer.integer ?? 0))
          }
          result[name] = sizes
        }
      }
    }
    return result
  }

  func geometry(
    _ config: [UInt8]? = nil, _ shapes: [String: [Int]]? = nil
  ) throws(ModelError) -> ModelGeometry {
    try ModelGeometry(
      configuration: try ModelConfiguration(config ?? self.config, path: "config.json"),
      shapes: shapes ?? self.shapes)
  }

  /// config.json with other members of the language model; a nil takes one away.
  func config(_ changes: [String: (any Sendable)?]) throws -> [UInt8] {
    func changed(_ object: [String: Any]) -> [String: Any] {
      var object = object
      for key in ["text_config", "llm_config", "thinker_config", "language_config"] {
        guard let inner = object[key] as? [String: Any] else { continue }
        object[key] = changed(inner)
        return object
      }
      for (key, value) in changes { object[key] = value }
      return object
    }
    let object = try JSONSerialization.jsonObject(with: Data(config)) as? [String: Any]
    return [UInt8](try JSONSerialization.data(withJSONObject: changed(object ?? [:])))
  }
}

extension ModelGeometry {
  /// As `CacheFixture.cache` has it, layers without a cache at the end left out.
  var cache: [[Int]?] {
    layers.map { layer in
      guard layer.geometry.hasCache else { return nil }
      let (heads, width) = (layer.geometry.kvHeads, layer.geometry.headDim)
      return [heads, width, heads, layer.valueDim ?? layer.geometry.valueDim]
    }
  }
}
