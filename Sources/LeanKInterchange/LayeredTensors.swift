import ByteIO
import LeanKMask
import TensorFiles

/// The tensors of a file that together are a mask or scores: one of all layers, or one for each.
struct LayeredTensors {
  /// What the names say the tensors are.
  enum Role {
    case mask, scores, unknown
  }

  let role: Role
  /// In the order of the layers; a single one may hold all of them.
  let tensors: [NamedTensor]
  /// Shape [kv_heads, head_dim] of each layer; [0, 0] is one without a K cache of heads.
  let shapes: [[Int]]
  /// Layers that no tensor stands for, though the names of later ones count them.
  private(set) var missing = 0

  /// Takes `tensor` as [layers, kv_heads, head_dim], or as a table [layers, channels] of a model.
  init(
    whole tensor: NamedTensor, role: Role, geometry: [LayerGeometry]?
  ) throws(InterchangeError) {
    self.role = role
    tensors = [tensor]
    let shape = tensor.array.shape
    switch shape.count {
    case 3:
      guard shape[0] <= MaskImporter.layerLimit else {
        throw InterchangeError(
          .limit, "\(shape[0]) layers, the limit is \(MaskImporter.layerLimit)")
      }
      shapes = [[Int]](repeating: [shape[1], shape[2]], count: shape[0])
    case 2:
      guard let geometry else {
        throw InterchangeError(
          .needsModel,
          "an array of shape \(shape) does not tell KV heads and channels apart: give the model with "
            + "--model", at: tensor.name.isEmpty ? nil : .key(tensor.name))
      }
      // a row is a layer with a K cache of heads
      let cached = geometry.filter(\.hasCache)
      guard cached.count == shape[0], cached.allSatisfy({ $0.channels == shape[1] }) else {
        throw InterchangeError(
          .geometry,
          "table of \(shape[0]) rows and \(shape[1]) columns, the model has \(cached.count) layers "
            + "of \(cached.first?.channels ?? 0) channels")
      }
      shapes = cached.map { [$0.kvHeads, $0.headDim] }
    default:
      throw InterchangeError(
        .shape, "array of shape \(shape), expected [layers, kv_heads, head_dim]",
        at: tensor.name.isEmpty ? nil : .key(tensor.name))
    }
  }

  /// Takes each of `tensors` as [kv_heads, head_dim] of the layer of its number, ascending.
  init(
    layers tensors: [(tensor: NamedTensor, number: Int)], role: Role
  ) throws(InterchangeError) {
    self.role = role
    self.tensors = tensors.map(\.tensor)
    for (tensor, _) in tensors where tensor.array.shape.count != 2 {
      throw InterchangeError(
        .shape, "layer of shape \(tensor.array.shape), expected [kv_heads, head_dim]",
        at: .key(tensor.name))
    }
    let last = tensors.last?.number ?? 0
    guard last < MaskImporter.layerLimit else {
      throw InterchangeError(
        .limit, "layer \(last), the limit is \(MaskImporter.layerLimit) layers")
    }
    var shapes = [[Int]](repeating: [0, 0], count: last + 1)
    for (tensor, number) in tensors { shapes[number] = tensor.array.shape }
    self.shapes = shapes
    missing = shapes.count - tensors.count
  }

  /// Layers, heads, channels and all of them together are not too many.
  func checkLimits(_ limits: TensorFileLimits) throws(InterchangeError) {
    guard shapes.count <= MaskImporter.layerLimit else {
      throw InterchangeError(
        .limit, "\(shapes.count) layers, the limit is \(MaskImporter.layerLimit)")
    }
    for shape in shapes {
      guard shape[0] <= MaskImporter.headLimit, shape[1] <= MaskImporter.widthLimit else {
        throw InterchangeError(
          .limit,
          "layer of \(shape[0]) KV heads and \(shape[1]) channels, the limit is 4096 of each")
      }
    }
    guard shapes.reduce(0, { $0 + $1[0] * $1[1] }) <= limits.elements else {
      throw InterchangeError(.limit, "more than \(limits.elements) channels")
    }
  }

  /// The layers' geometries, the model's where there is one.
  func geometries(matching model: [LayerGeometry]?) throws(InterchangeError) -> [LayerGeometry] {
    guard !shapes.isEmpty else { throw InterchangeError(.shape, "array of no layers") }
    let own = try InterchangeError.converting(.shape) { () throws(MaskError) in
      var result: [LayerGeometry] = []
      for shape in shapes {
        result.append(
          shape == [0, 0]
            ? .withoutCache : try LayerGeometry(kvHeads: shape[0], headDim: shape[1]))
      }
      guard result.contains(where: \.hasCache) else {
        throw MaskError(.geometry, "no layer has KV heads")
      }
      return result
    }
    guard let model else { return own }
    let places = try InterchangeError.converting(.geometry) { () throws(MaskError) in
      try LayerGeometry.places(of: own, in: model)
    }
    for (mine, index) in zip(own, places) {
      let theirs = model[index]
      guard mine.kvHeads == theirs.kvHeads, mine.headDim == theirs.headDim else {
        throw InterchangeError(
          .geometry,
          "layer \(index): file has \(mine.kvHeads) KV heads of \(mine.headDim) channels, the model "
            + "\(theirs.kvHeads) of \(theirs.headDim)")
      }
    }
    return model
  }

  /// Whether these are a mask: by name, else because every element is 0 or 1.
  func isMask() throws(InterchangeError) -> Bool {
    switch role {
    case .mask: return true
    case .scores: return false
    case .unknown:
      for tensor in tensors {
        guard try ElementValues(tensor.array, name: tensor.name).areBits else { return false }
      }
      return true
    }
  }

  func mask(_ geometries: [LayerGeometry]) throws(InterchangeError) -> ChannelMask {
    var bits: [Bool] = []
    for tensor in tensors {
      bits += try ElementValues(tensor.array, name: tensor.name).bits(name: tensor.name)
    }
    return try InterchangeError.converting { () throws(MaskError) in
      var layers: [LayerMask] = []
      var start = 0
      for geometry in geometries {
        var heads: [ChannelSet] = []
        for _ in 0..<geometry.kvHeads {
          let channels = (0..<geometry.headDim).filter { bits[start + $0] }
          heads.append(ChannelSet(width: geometry.headDim, channels: channels))
          start += geometry.headDim
        }
        layers.append(try LayerMask(geometry: geometry, heads: heads))
      }
      return try ChannelMask(layers: layers)
    }
  }

  /// The scores of all layers, and how many were rounded.
  func scores(kind: String?) throws(InterchangeError) -> (ImportanceScores, rounded: Int) {
    let count = shapes.reduce(0) { $0 + $1[0] * $1[1] }
    guard count <= MaskImporter.scoreLimit else {
      throw InterchangeError(
        .limit, "\(count) scores, the limit is \(MaskImporter.scoreLimit)")
    }
    var bits: [UInt32] = []
    var rounded = 0
    var scalar: ImportanceScores.Scalar?
    for tensor in tensors {
      let values = try ElementValues(tensor.array, name: tensor.name)
      guard scalar == nil || scalar == values.scoreScalar else {
        throw InterchangeError(
          .elementType, "scores of different types in one file", at: .key(tensor.name))
      }
      scalar = values.scoreScalar
      let found = try values.scores(
        name: tensor.name, from: bits.count, areAlphas: kind == ImportanceScores.alphaKind)
      // one tensor of all layers is the usual case, and not copied
      if bits.isEmpty { bits = found.bits } else { bits += found.bits }
      rounded += found.rounded
    }
    return try InterchangeError.converting { () throws(MaskError) in
      let plain = try ImportanceScores(
        kind: kind ?? MaskImporter.unnamedKind, scalar: scalar ?? .f32, bits: bits)
      guard kind == nil, (0..<plain.count).allSatisfy({ (0...1).contains(plain[$0]) }) else {
        return (plain, rounded)
      }
      let alphas = try ImportanceScores(
        kind: ImportanceScores.alphaKind, scalar: plain.scalar, bits: plain.bits)
      return (alphas, rounded)
    }
  }
}
