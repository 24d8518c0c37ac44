import ByteIO
import LeanKMask
import TensorFiles

/// The rule by which the names of a file's tensors say what they are; see `MaskImporter`.
enum TensorNames {
  /// A name in one of the forms that leank writes.
  private struct Known {
    let role: LayeredTensors.Role
    /// nil for a tensor of all layers.
    let layer: Int?

    init?(_ name: String) {
      let parts = name.split(separator: ".", omittingEmptySubsequences: false)
      switch parts.last {
      case "mask": role = .mask
      case "scores": role = .scores
      default: return nil
      }
      switch parts.count {
      case 1: layer = nil
      case 3:
        guard parts[0] == "layers", let number = Int(parts[1]), String(number) == parts[1] else {
          return nil
        }
        layer = number
      default: return nil
      }
    }
  }

  /// `tensors` as a mask, scores or both.
  static func parts(
    of tensors: [NamedTensor], geometry: [LayerGeometry]?
  ) throws(InterchangeError) -> [LayeredTensors] {
    let known = tensors.map { Known($0.name) }
    guard let stranger = zip(tensors, known).first(where: { $0.1 == nil })?.0 else {
      var parts: [LayeredTensors] = []
      for role in [LayeredTensors.Role.mask, .scores] {
        let own = zip(tensors, known).filter { $0.1?.role == role }
        if let part = try part(own.map { ($0.0, $0.1?.layer) }, role: role, geometry: geometry) {
          parts.append(part)
        }
      }
      return parts
    }
    guard known.allSatisfy({ $0 == nil }) else {
      throw InterchangeError(
        .names, "tensor \(quoted(stranger.name)) is neither mask nor scores like its neighbours")
    }
    guard tensors.count > 1 else {
      return [try LayeredTensors(whole: stranger, role: .unknown, geometry: geometry)]
    }
    return [try LayeredTensors(layers: try numbered(tensors), role: .unknown)]
  }

  private static func part(
    _ tensors: [(tensor: NamedTensor, layer: Int?)], role: LayeredTensors.Role,
    geometry: [LayerGeometry]?
  ) throws(InterchangeError) -> LayeredTensors? {
    guard !tensors.isEmpty else { return nil }
    if let whole = tensors.first(where: { $0.layer == nil })?.tensor {
      if let other = tensors.first(where: { $0.layer != nil })?.tensor {
        throw InterchangeError(
          .names, "tensors \(quoted(whole.name)) and \(quoted(other.name)) hold the same twice")
      }
      return try LayeredTensors(whole: whole, role: role, geometry: geometry)
    }
    let ordered = try inOrder(tensors.map { ($0.tensor, $0.layer ?? 0) }, ofModel: true)
    return try LayeredTensors(layers: ordered, role: role)
  }

  /// The tensors by layer, without repetition; without gap too, unless they are layers of a model, of
  /// which some have no K cache of heads.
  private static func inOrder(
    _ tensors: [(tensor: NamedTensor, number: Int)], ofModel: Bool
  ) throws(InterchangeError) -> [(tensor: NamedTensor, number: Int)] {
    let sorted = tensors.sorted { $0.number < $1.number }
    var expected = 0
    for entry in sorted {
      guard entry.number == expected || ofModel && entry.number > expected else {
        throw InterchangeError(
          .names, "tensor \(quoted(entry.tensor.name)) where layer \(expected) should be")
      }
      expected = entry.number + 1
    }
    return sorted
  }

  /// The tensors in the order of the one number in which their names differ.
  private static func numbered(
    _ tensors: [NamedTensor]
  ) throws(InterchangeError) -> [(tensor: NamedTensor, number: Int)] {
    let names = tensors.map { pieces(of: $0.name) }
    guard let first = names.first, names.allSatisfy({ $0.count == first.count }) else {
      throw ambiguous(tensors)
    }
    let varying = first.indices.filter { index in names.contains { $0[index] != first[index] } }
    guard varying.count == 1, let index = varying.first else { throw ambiguous(tensors) }
    var result: [(NamedTensor, Int)] = []
    for (tensor, pieces) in zip(tensors, names) {
      guard let number = Int(pieces[index]), (0..<Int.max).contains(number) else {
        throw ambiguous(tensors)
      }
      result.append((tensor, number))
    }
    return try inOrder(result, ofModel: index > 0 && countsLayers(first[index - 1]))
  }

  /// Whether `text` in front of a number says that it counts a model's layers: `model.layers.`
  private static func countsLayers(_ text: Substring) -> Bool {
    let word = text.split { !$0.isLetter }.last?.lowercased()
    return word == "layers" || word == "layer"
  }

  private static func ambiguous(_ tensors: [NamedTensor]) -> InterchangeError {
    let names = tensors.prefix(3).map { quoted($0.name, limit: 60) }.joined(separator: ", ")
    return InterchangeError(
      .names,
      "\(tensors.count) tensors (\(names)...) whose names do not tell layers: expected mask, scores, "
        + "layers.0.mask ..., or names that differ in one number")
  }

  /// `name` cut where runs of digits begin and end.
  private static func pieces(of name: String) -> [Substring] {
    var result: [Substring] = []
    var rest = name[...]
    while let first = rest.first {
      let isDigit = isDigit(first)
      let piece = rest.prefix { Self.isDigit($0) == isDigit }
      result.append(piece)
      rest = rest.dropFirst(piece.count)
    }
    return result
  }

  private static func isDigit(_ character: Character) -> Bool { ("0"..."9").contains(character) }
}
