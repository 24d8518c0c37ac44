import ByteIO

/// A value of a pickle, sixteen bytes whatever it is.
///
/// Containers and objects are indices into the arenas of a `PickleDocument`, so that shared, deep and
/// circular values cost nothing to hold and nothing to free.
enum PickleValue: Sendable {
  case none
  case bool(Bool)
  case integer(Int)
  case real(Double)
  /// UTF-8 text in the pickle, checked.
  case string(PickleSlice)
  /// Raw bytes in the pickle.
  case data(PickleSlice)
  /// Bytes that stand in the pickle as UTF-8 text of scalars below 256, as protocol 2 has to.
  case latin1(PickleSlice)
  case global(PickleGlobal)
  case tuple(Int)
  case list(Int)
  case dictionary(Int)
  case storage(Int)
  case tensor(Int)
  case numpyType(Int)
  case array(Int)
}

/// A piece of the pickle's own bytes.
struct PickleSlice: Sendable, Hashable {
  private let start: UInt32
  private let length: UInt32

  /// A pickle is far shorter than 4 GiB by its limit; nil where it is not.
  init?(_ range: Range<Int>) {
    guard let start = UInt32(exactly: range.lowerBound), let length = UInt32(exactly: range.count)
    else { return nil }
    self.start = start
    self.length = length
  }

  var range: Range<Int> { Int(start)..<Int(start) + Int(length) }
  var count: Int { Int(length) }
}

/// The classes and functions that may be named: those that stand for tensors and arrays.
///
/// They are matched as exact (module, name) pairs and stay names; none is looked up or called.
enum PickleGlobal: Sendable, Hashable {
  case orderedDictionary
  case rebuildTensor
  case rebuildParameter
  case storageType(ScalarType)
  case encode
  case reconstruct
  case numpyArray
  case numpyType

  /// The global named `module`, line feed, `name`; nil for every other.
  init?(_ pair: String) {
    guard let global = Self.table[UTF8Name(pair)] else { return nil }
    self = global
  }

  private static let table: [UTF8Name: PickleGlobal] = [
    "collections\nOrderedDict": .orderedDictionary,
    "torch._utils\n_rebuild_tensor_v2": .rebuildTensor,
    "torch._utils\n_rebuild_parameter": .rebuildParameter,
    "torch\nFloatStorage": .storageType(.f32),
    "torch\nDoubleStorage": .storageType(.f64),
    "torch\nHalfStorage": .storageType(.f16),
    "torch\nBFloat16Storage": .storageType(.bf16),
    "torch\nBoolStorage": .storageType(.bool),
    "torch\nByteStorage": .storageType(.u8),
    "torch\nCharStorage": .storageType(.i8),
    "torch\nShortStorage": .storageType(.i16),
    "torch\nIntStorage": .storageType(.i32),
    "torch\nLongStorage": .storageType(.i64),
    "_codecs\nencode": .encode,
    "numpy.core.multiarray\n_reconstruct": .reconstruct,
    "numpy._core.multiarray\n_reconstruct": .reconstruct,
    "numpy\nndarray": .numpyArray,
    "numpy\ndtype": .numpyType,
  ]
}

/// A record of raw elements that tensors view.
struct PickledStorage: Sendable {
  let scalar: ScalarType
  /// Name of the record below `data/`.
  let key: String
  /// Elements of the storage.
  let count: Int
}

/// A view of a storage; every element has been checked to lie inside.
struct PickledTensor: Sendable {
  let storage: Int
  let offset: Int
  let shape: [Int]
  let strides: [Int]
}

/// A numpy element type.
struct PickledType: Sendable {
  let scalar: ScalarType
  var isSwapped = false
}

/// A numpy array whose data stands in the pickle.
struct PickledArray: Sendable {
  let scalar: ScalarType
  let isSwapped: Bool
  let isFortran: Bool
  let shape: [Int]
  let data: PickleSlice
  let isLatin1: Bool
}

/// What a pickle says, as data.
struct PickleDocument: Sendable {
  var root: PickleValue = .none
  /// Elements of tuples and lists; keys and values of dictionaries in turn.
  var containers: [[PickleValue]] = []
  var storages: [PickledStorage] = []
  var tensors: [PickledTensor] = []
  /// nil until the array's state has been given.
  var arrays: [PickledArray?] = []
}
