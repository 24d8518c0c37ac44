public import ByteIO
public import LeanKMask

/// Which layers of a model cache keys of heads, and how wide: what masks, layouts and the figures of
/// a cache need, and less than a decoder does.
///
/// It comes from a family's description or, for a `model_type` that leank does not know, from
/// config.json and the shapes of tensors, which have to agree on every layer.
public struct ModelGeometry: Sendable, Hashable {
  /// What the keys of a layer are normed over before they are rotated.
  public enum KeyNorm: String, Sendable, Hashable {
    case none
    case perHead = "per_head"
    case acrossHeads = "across_heads"
  }

  /// One layer of the model.
  public struct Layer: Sendable, Hashable {
    /// `withoutCache` where the layer has no K cache of heads.
    public var geometry: LayerGeometry
    /// Width of one head of values where it is not `head_dim`.
    public var valueDim: Int?
    /// Keys visible to a query, itself included; nil = all before it.
    public var slidingWindow: Int?
    public var keyNorm: KeyNorm
    /// The tensor whose rows give the keys, nil of a layer without a cache.
    public var keyWeight: String?
    /// Where the rows of heads lie; nil where that is not known, or there are none.
    public var rows: AttentionRows?

    /// A layer without a K cache of heads.
    public static let withoutCache = Layer()

    private init() {
      geometry = .withoutCache
      keyNorm = .none
    }

    init(geometry: LayerGeometry, valueDim: Int?, keyNorm: KeyNorm, keyWeight: String) {
      self.geometry = geometry
      self.valueDim = valueDim == geometry.headDim ? nil : valueDim
      self.keyNorm = keyNorm
      self.keyWeight = keyWeight
    }
  }

  public var modelType: String
  public var layers: [Layer]
  /// Shapes that tensors have to have in the dense checkpoint, by name; empty where they have been
  /// compared.
  public var shapes: [String: [Int]]
  /// What the model computes; nil of one that is known by its geometry alone.
  public var description: ModelDescription?

  /// Geometry of each layer, as a mask for this model has to have it.
  public var geometries: [LayerGeometry] { layers.map(\.geometry) }

  /// Whether it is known of every layer with a cache where the rows of heads lie.
  public var knowsRows: Bool {
    layers.allSatisfy { $0.rows != nil || !$0.geometry.hasCache }
  }

  /// `mask` with this model's geometry. Fails when the mask was made for another.
  public func adopt(_ mask: ChannelMask) throws(ModelError) -> ChannelMask {
    do throws(MaskError) {
      return try mask.adopting(geometries)
    } catch {
      throw ModelError(.maskGeometry, error.description)
    }
  }
}

/// Where the rows of one layer's heads lie in its projections.
public struct AttentionRows: Sendable, Hashable {
  /// Query heads that share one KV head.
  public var group: Int
  public var query: HeadRows
  public var key: HeadRows
  public var value: HeadRows

  public init(group: Int, query: HeadRows, key: HeadRows, value: HeadRows) {
    self.group = group
    self.query = query
    self.key = key
    self.value = value
  }

  public init(of attention: AttentionDescription) {
    self.init(
      group: attention.group, query: attention.query, key: attention.key, value: attention.value)
  }
}

extension ModelGeometry {
  /// The geometry of a model that a family describes.
  public init(_ model: DescribedModel) throws(ModelError) {
    let geometries: [LayerGeometry]
    do throws(MaskError) {
      geometries = try model.description.geometries
    } catch {
      throw ModelError(.inconsistent, error.description)
    }
    modelType = model.description.modelType
    shapes = model.shapes
    description = model.description
    layers = []
    for (geometry, layer) in zip(geometries, model.description.layers) {
      let attention = layer.attention
      let norm = attention.queryKeyNorm.map { $0.isPerHead ? KeyNorm.perHead : .acrossHeads }
      var own = Layer(
        geometry: geometry, valueDim: nil, keyNorm: norm ?? .none, keyWeight: attention.key.weight)
      own.slidingWindow = attention.slidingWindow
      own.rows = AttentionRows(of: attention)
      layers.append(own)
    }
  }

  /// The geometry of the model of `configuration`, whose files hold tensors of these `shapes`.
  ///
  /// A family's `shapes` are the caller's to compare; where no family knows the model, config.json
  /// and tensors have been found to agree. Fails with `.unknownModelType` where they do not, naming
  /// the key or the tensor that disagrees.
  public init(
    configuration: ModelConfiguration, shapes: [String: [Int]]
  ) throws(ModelError) {
    do throws(ModelError) {
      self = try ModelGeometry(
        try DescribedModel(configuration: configuration, tensorNames: Set(shapes.keys)))
      return
    } catch {
      guard error.code == .unknownModelType else { throw error }
    }
    do throws(ModelError) {
      let generic = try GenericGeometry(configuration, shapes)
      modelType = configuration.modelType
      layers =
        try ModelFamily.layersWithRows(configuration.modelType, generic) ?? generic.layers
      self.shapes = [:]
      description = nil
    } catch {
      let place = if case .key(let key)? = error.location { ", at key \(quoted(key))" } else { "" }
      throw try ModelFamily.unknown(configuration, because: error.detail + place)
    }
  }
}
