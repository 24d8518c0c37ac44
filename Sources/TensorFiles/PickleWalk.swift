import ByteIO

/// The tensors and arrays that a pickle's value leads to, with the path to each.
struct PickleWalk {
  /// A tensor or array, with its element type and shape.
  enum Leaf {
    case tensor(PickledTensor, PickledStorage)
    case array(PickledArray)

    var scalar: ScalarType {
      switch self {
      case .tensor(_, let storage): storage.scalar
      case .array(let array): array.scalar
      }
    }

    var shape: [Int] {
      switch self {
      case .tensor(let tensor, _): tensor.shape
      case .array(let array): array.shape
      }
    }
  }

  private(set) var leaves: [(name: String, leaf: Leaf)] = []
  private let limits: TensorFileLimits
  private var names: Set<UTF8Name> = []
  private var visited = 0

  private struct Frame {
    let items: [PickleValue]
    let isDictionary: Bool
    let prefix: String
    var position = 0
  }

  /// Walks `document`, whose strings are in `bytes`.
  ///
  /// Shared containers are walked once for each way to them, so the number of visits is limited;
  /// one that holds itself runs into the depth limit.
  init(
    _ document: PickleDocument, in bytes: Span<UInt8>, limits: TensorFileLimits
  ) throws(TensorFileError) {
    self.limits = limits
    var frames: [Frame] = []
    if let frame = try visit(document.root, "", document) { frames.append(frame) }
    while var frame = frames.popLast() {
      guard frame.position < frame.items.count else { continue }
      let name = try Self.name(at: frame.position, of: frame.items, frame.isDictionary, bytes)
      let value = frame.items[frame.position + (frame.isDictionary ? 1 : 0)]
      let path = frame.prefix.isEmpty ? name : frame.prefix + "." + name
      frame.position += frame.isDictionary ? 2 : 1
      frames.append(frame)
      guard path.utf8.count <= limits.tensorName else {
        throw TensorFileError(
          .limit, "path to a tensor of \(path.utf8.count) bytes, the limit is \(limits.tensorName)")
      }
      if let inner = try visit(value, path, document) {
        guard frames.count < limits.pickleDepth else {
          throw TensorFileError(
            .limit, "containers nested deeper than \(limits.pickleDepth)", at: .key(path))
        }
        frames.append(inner)
      }
    }
  }

  /// Notes a leaf; returns a frame for a container and nil for plain values.
  private mutating func visit(
    _ value: PickleValue, _ path: String, _ document: PickleDocument
  ) throws(TensorFileError) -> Frame? {
    visited += 1
    guard visited <= limits.pickleValues else {
      throw TensorFileError(.limit, "more than \(limits.pickleValues) values reached in the pickle")
    }
    switch value {
    case .tuple(let index), .list(let index):
      return Frame(items: document.containers[index], isDictionary: false, prefix: path)
    case .dictionary(let index):
      return Frame(items: document.containers[index], isDictionary: true, prefix: path)
    case .tensor(let index):
      let tensor = document.tensors[index]
      try note(.tensor(tensor, document.storages[tensor.storage]), path)
    case .array(let index):
      guard let array = document.arrays[index] else {
        throw TensorFileError(.pickleOperand, "numpy array without a state", at: .key(path))
      }
      try note(.array(array), path)
    case .none, .bool, .integer, .real: break
    case .string(let slice), .data(let slice), .latin1(let slice):
      guard slice.count <= limits.pickleString else {
        throw TensorFileError(
          .limit, "string of \(slice.count) bytes, the limit is \(limits.pickleString)",
          at: .key(path))
      }
    case .global, .storage, .numpyType:
      throw TensorFileError(
        .pickleOperand, "a class or storage stands where a value should", at: .key(path))
    }
    return nil
  }

  private mutating func note(_ leaf: Leaf, _ path: String) throws(TensorFileError) {
    guard leaves.count < limits.tensors else {
      throw TensorFileError(.limit, "more than \(limits.tensors) tensors")
    }
    guard names.insert(UTF8Name(path)).inserted else {
      throw TensorFileError(.duplicateName, "two tensors have one path", at: .key(path))
    }
    leaves.append((path, leaf))
  }

  /// The dictionary's key, or the index in a list.
  private static func name(
    at position: Int, of items: [PickleValue], _ isDictionary: Bool, _ bytes: Span<UInt8>
  ) throws(TensorFileError) -> String {
    guard isDictionary else { return String(position) }
    switch items[position] {
    case .string(let slice):
      let name = String(decoding: bytes.copy(slice.range), as: UTF8.self)
      guard !hasLongCombiningRun(name) else {
        throw TensorFileError(
          .limit, "key with more than \(combiningRunLimit) combining characters in a row")
      }
      return name
    case .integer(let number): return String(number)
    default:
      throw TensorFileError(.pickleOperand, "dictionary with keys that are no strings or integers")
    }
  }
}
