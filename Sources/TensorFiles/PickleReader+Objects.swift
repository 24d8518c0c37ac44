import ByteIO

/// What the allowed names mean: each call is matched against the one form that torch or numpy
/// writes, and becomes data.
extension PickleReader {
  /// The text of a string value; nil for other values and for strings that are longer than any name
  /// that torch and numpy give.
  func text(_ value: PickleValue, _ bytes: Span<UInt8>) -> String? {
    guard case .string(let slice) = value, slice.count <= 255 else { return nil }
    return String(decoding: bytes.copy(slice.range), as: UTF8.self)
  }

  private func items(_ value: PickleValue) -> [PickleValue]? {
    guard case .tuple(let index) = value else { return nil }
    return document.containers[index]
  }

  /// `('storage', type, key, location, count)`.
  mutating func storage(
    _ identifier: PickleValue, _ bytes: Span<UInt8>
  ) throws(TensorFileError) -> PickleValue {
    try countObject()
    guard let parts = items(identifier), parts.count == 5, text(parts[0], bytes) == "storage",
      case .global(.storageType(let scalar)) = parts[1], let key = text(parts[2], bytes),
      let location = text(parts[3], bytes), case .integer(let count) = parts[4], count >= 0
    else {
      throw error(
        .torchTensor, "expected a storage (\"storage\", type, key, location, number of elements)")
    }
    guard DirectoryHandle.isPlainName(key) else {
      throw error(.torchTensor, "storage key \(quoted(key)) is not a plain name")
    }
    guard location != "meta" else {
      throw error(.torchFeature, "tensor on the meta device, which holds no data")
    }
    if let index = storageIndices[UTF8Name(key)] {
      let known = document.storages[index]
      guard known.scalar == scalar, known.count == count else {
        throw error(.torchTensor, "storage \(quoted(key)) appears with two types or lengths")
      }
      return .storage(index)
    }
    storageIndices[UTF8Name(key)] = document.storages.count
    document.storages.append(PickledStorage(scalar: scalar, key: key, count: count))
    return .storage(document.storages.count - 1)
  }

  mutating func call(
    _ callee: PickleValue, _ arguments: PickleValue, _ bytes: Span<UInt8>
  ) throws(TensorFileError) -> PickleValue {
    try countObject()
    guard case .global(let global) = callee, let arguments = items(arguments) else {
      throw error(.pickleOperand, "pickle calls something that is no function")
    }
    switch global {
    case .orderedDictionary: return try orderedDictionary(arguments)
    case .rebuildTensor: return try tensor(arguments)
    case .rebuildParameter:
      guard arguments.count == 3, case .tensor = arguments[0], case .bool = arguments[1],
        isEmptyDictionary(arguments[2])
      else { throw error(.pickleOperand, "_rebuild_parameter expects a tensor, a bool and hooks") }
      return arguments[0]
    case .encode:
      guard arguments.count == 2, case .string(let slice) = arguments[0],
        text(arguments[1], bytes) == "latin1"
      else { throw error(.pickleOperand, "_codecs.encode expects a string and latin1") }
      return .latin1(slice)
    case .reconstruct:
      guard arguments.count == 3, case .global(.numpyArray) = arguments[0] else {
        throw error(.pickleOperand, "numpy's _reconstruct expects ndarray, a shape and a type")
      }
      document.arrays.append(nil)
      return .array(document.arrays.count - 1)
    case .numpyType: return try numpyType(arguments, bytes)
    case .storageType, .numpyArray:
      throw error(.pickleOperand, "pickle calls a class that is only ever named")
    }
  }

  private func isEmptyDictionary(_ value: PickleValue) -> Bool {
    guard case .dictionary(let index) = value else { return false }
    return document.containers[index].isEmpty
  }

  private mutating func orderedDictionary(
    _ arguments: [PickleValue]
  ) throws(TensorFileError) -> PickleValue {
    var entries: [PickleValue] = []
    if let first = arguments.first {
      guard arguments.count == 1, case .list(let list) = first else {
        throw error(.pickleOperand, "OrderedDict expects nothing or a list of pairs")
      }
      for pair in document.containers[list] {
        guard let pair = items(pair), pair.count == 2 else {
          throw error(.pickleOperand, "OrderedDict expects a list of pairs")
        }
        entries += pair
      }
    }
    let index = try container(entries)
    orderedDictionaries.insert(index)
    return .dictionary(index)
  }

  /// `(storage, offset, size, stride, requires_grad, hooks)`, then perhaps no metadata.
  private mutating func tensor(
    _ arguments: [PickleValue]
  ) throws(TensorFileError) -> PickleValue {
    guard arguments.count == 6 || (arguments.count == 7 && isEmptyDictionary(arguments[6])),
      case .storage(let storage) = arguments[0], case .integer(let offset) = arguments[1],
      let shape = integers(arguments[2]), let strides = integers(arguments[3]),
      case .bool = arguments[4], isEmptyDictionary(arguments[5])
    else {
      throw error(
        .torchTensor,
        "_rebuild_tensor_v2 expects a storage, offset, size, stride, requires_grad and hooks")
    }
    try check(shape)
    guard shape.count == strides.count, offset >= 0, strides.allSatisfy({ $0 >= 0 }) else {
      throw error(
        .torchTensor,
        "tensor has offset \(offset), size \(shape.count) and stride "
          + "\(strides.count) numbers: negative, or of different rank")
    }
    let owner = document.storages[storage]
    if !shape.contains(0) {
      guard let last = lastElement(offset, shape, strides), last < owner.count else {
        throw error(
          .torchTensor,
          "tensor of shape \(shape), stride \(strides) and offset \(offset) reaches past the "
            + "\(owner.count) elements of storage \(quoted(owner.key))")
      }
    }
    document.tensors.append(
      PickledTensor(storage: storage, offset: offset, shape: shape, strides: strides))
    return .tensor(document.tensors.count - 1)
  }

  /// Index of the element with the highest address; nil where it does not fit.
  private func lastElement(_ offset: Int, _ shape: [Int], _ strides: [Int]) -> Int? {
    var last = offset
    for (size, stride) in zip(shape, strides) {
      guard let step = (size - 1).multiplied(by: stride), let next = last.adding(step) else {
        return nil
      }
      last = next
    }
    return last
  }

  private func integers(_ value: PickleValue) -> [Int]? {
    guard let items = items(value) else { return nil }
    var result: [Int] = []
    for item in items {
      guard case .integer(let number) = item else { return nil }
      result.append(number)
    }
    return result
  }

  /// Rank, dimensions and number of elements are within the limits, and there is room for a tensor.
  private func check(_ shape: [Int]) throws(TensorFileError) {
    guard document.tensors.count + document.arrays.count <= limits.tensors else {
      throw error(.limit, "more than \(limits.tensors) tensors in the pickle")
    }
    guard shape.count <= limits.rank else {
      throw error(.limit, "\(shape.count) dimensions, the limit is \(limits.rank)")
    }
    guard shape.allSatisfy({ $0 >= 0 }) else {
      throw error(.torchTensor, "shape \(shape) has a negative dimension")
    }
    guard shape.allSatisfy({ $0 <= limits.dimension }), let count = shape.checkedProduct(),
      count <= limits.elements
    else {
      throw error(.limit, "shape \(shape) exceeds the limit of \(limits.elements) elements")
    }
  }
}

// MARK: - numpy

extension PickleReader {
  /// `dtype(text, align, copy)`.
  private mutating func numpyType(
    _ arguments: [PickleValue], _ bytes: Span<UInt8>
  ) throws(TensorFileError) -> PickleValue {
    guard arguments.count == 3, let text = text(arguments[0], bytes) else {
      throw error(.pickleOperand, "numpy's dtype expects a name and two flags")
    }
    guard let scalar = NumpyType.scalar(text[...]) else {
      guard !text.hasPrefix("O") else {
        throw error(
          .objectArray, "object arrays hold pickles of anything: save a bool or float array")
      }
      throw error(
        .elementType,
        "numpy type \(quoted(text)): only bool, integer and float arrays of at most 64 bits are read"
      )
    }
    numpyTypes.append(PickledType(scalar: scalar))
    return .numpyType(numpyTypes.count - 1)
  }

  mutating func build(
    _ target: PickleValue, _ state: PickleValue, _ bytes: Span<UInt8>
  ) throws(TensorFileError) {
    switch target {
    case .numpyType(let index): try buildType(index, state, bytes)
    case .array(let index): try buildArray(index, state)
    case .dictionary(let index) where orderedDictionaries.contains(index):
      // A module's state carries `_metadata` as an attribute; it says nothing about tensors.
      guard case .dictionary = state else {
        throw error(.pickleOperand, "OrderedDict is given a state that is no dictionary")
      }
    default: throw error(.pickleOperand, "pickle sets the state of something that has none")
    }
  }

  /// `(3, byte order, None, None, None, -1, -1, 0)`.
  private mutating func buildType(
    _ index: Int, _ state: PickleValue, _ bytes: Span<UInt8>
  ) throws(TensorFileError) {
    guard let parts = items(state), parts.count >= 5, case .integer = parts[0],
      let order = text(parts[1], bytes), case .none = parts[2], case .none = parts[3],
      case .none = parts[4]
    else { throw error(.pickleOperand, "numpy dtype has a state of another form") }
    guard order == "<" || order == ">" || order == "|" else {
      throw error(.pickleOperand, "numpy byte order \(quoted(order))")
    }
    numpyTypes[index].isSwapped = order == ">" && numpyTypes[index].scalar.bitWidth > 8
  }

  /// `(1, shape, dtype, is Fortran order, data)`.
  private mutating func buildArray(
    _ index: Int, _ state: PickleValue
  ) throws(TensorFileError) {
    guard document.arrays[index] == nil, let parts = items(state), parts.count == 5,
      case .integer = parts[0], let shape = integers(parts[1]),
      case .numpyType(let type) = parts[2], case .bool(let isFortran) = parts[3]
    else { throw error(.pickleOperand, "numpy array has a state of another form") }
    try check(shape)
    let slice: PickleSlice
    let isLatin1: Bool
    switch parts[4] {
    case .data(let found): (slice, isLatin1) = (found, false)
    case .latin1(let found): (slice, isLatin1) = (found, true)
    default: throw error(.pickleOperand, "numpy array has no bytes")
    }
    let element = numpyTypes[type]
    document.arrays[index] = PickledArray(
      scalar: element.scalar, isSwapped: element.isSwapped, isFortran: isFortran, shape: shape,
      data: slice, isLatin1: isLatin1)
  }
}
