/// One of the arrays of a file that holds several.
public struct NamedTensor: Sendable, Hashable {
  /// Member name without `.npy`, or the keys and indices that lead to a tensor in a torch file,
  /// joined by dots; empty for a bare tensor.
  public let name: String
  public let array: TensorArray

  public init(name: String, array: TensorArray) {
    self.name = name
    self.array = array
  }
}
