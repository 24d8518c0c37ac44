import LeanKModel

extension LayerDescription {
  /// Tensors that the layer reads whatever its tokens are; experts, of which a token needs a few,
  /// are left out.
  var weightNames: Set<String> {
    var names: Set<String?> = []
    func add(_ linear: LinearDescription) {
      names.formUnion([linear.weight, linear.bias])
    }
    for heads in [attention.query, attention.key, attention.value] {
      names.formUnion([heads.weight, heads.bias])
    }
    add(attention.output)
    switch feedForward {
    case .gated(let gate, let up, let down, _):
      add(gate)
      add(up)
      add(down)
    case .plain(let up, let down, _):
      add(up)
      add(down)
    case .mixture(let mixture): add(mixture.router)
    }
    return Set(names.compactMap { $0 })
  }
}
