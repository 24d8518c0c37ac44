import ByteIO

/// Reads a pickle of tensors into flat data: an allow-list of opcodes and of names, no interpreter.
///
/// Nothing in the file is looked up, called or imported. A pickle that names anything but tensors
/// and their parts is refused whole at that name, used or not.
struct PickleReader {
  let limits: TensorFileLimits
  var document = PickleDocument()
  var storageIndices: [UTF8Name: Int] = [:]
  var numpyTypes: [PickledType] = []
  var orderedDictionaries: Set<Int> = []
  /// Objects made so far: tensors, arrays, types and references to storages.
  private var objectCount = 0
  /// Offset of the opcode being read.
  var place = 0
  private var cursor = ByteCursor()
  private var stack: [PickleValue] = []
  /// Heights of the stack at which a MARK stands.
  private var marks: [Int] = []
  private var memo: [PickleValue?] = []
  /// Values inside containers, all together.
  private var itemCount = 0

  private init(limits: TensorFileLimits) { self.limits = limits }

  /// The value of the pickle in `bytes`, all of them, which are within the limit for pickles.
  static func read(
    _ bytes: Span<UInt8>, limits: TensorFileLimits
  ) throws(TensorFileError) -> PickleDocument {
    var reader = PickleReader(limits: limits)
    try reader.run(bytes)
    return reader.document
  }

  private mutating func run(_ bytes: Span<UInt8>) throws(TensorFileError) {
    try protocolVersion(bytes)
    var count = 0
    while true {
      place = cursor.offset
      guard let byte = cursor.uint8(in: bytes) else {
        throw error(.truncated, "pickle ends without STOP")
      }
      count += 1
      guard count <= limits.pickleOpcodes else {
        throw error(.limit, "more than \(limits.pickleOpcodes) pickle opcodes")
      }
      guard let opcode = PickleOpcode(rawValue: byte) else { throw refusal(of: byte) }
      if opcode == .stop { break }
      try execute(opcode, bytes)
    }
    guard stack.count == 1, marks.isEmpty, let root = stack.first else {
      throw error(.pickleOperand, "pickle STOP with \(stack.count) values on the stack, expected 1")
    }
    guard cursor.offset == bytes.count else {
      throw TensorFileError(
        .trailingData, "\(bytes.count - cursor.offset) bytes after the pickle's STOP",
        at: .byte(cursor.offset))
    }
    document.root = root
  }

  private mutating func protocolVersion(_ bytes: Span<UInt8>) throws(TensorFileError) {
    guard let first = cursor.uint8(in: bytes) else {
      throw error(.truncated, "pickle is empty")
    }
    guard first == PickleOpcode.proto else {
      guard PickleOpcode(rawValue: first) != nil || PickleOpcode.refusedName(first) != nil else {
        throw error(.pickleOpcode, "not a pickle: it begins with byte 0x\(hex(first))")
      }
      throw error(
        .pickleUnsupported,
        "pickle protocol 0 or 1, torch writes 2: save the file again with torch.save")
    }
    guard let version = cursor.uint8(in: bytes) else {
      throw error(.truncated, "pickle ends before its protocol")
    }
    guard version <= 5 else { throw error(.pickleOpcode, "unknown pickle protocol \(version)") }
    guard version == 2 || version == 3 else {
      throw error(
        .pickleUnsupported,
        "pickle protocol \(version), torch writes 2: save the file again with torch.save")
    }
  }

  private func refusal(of byte: UInt8) -> TensorFileError {
    if byte == PickleOpcode.proto {
      return error(.pickleOpcode, "pickle opcode PROTO stands past the beginning")
    }
    guard let name = PickleOpcode.refusedName(byte) else {
      return error(.pickleOpcode, "byte 0x\(hex(byte)) is no pickle opcode")
    }
    return error(.pickleUnsupported, "pickle opcode \(name), which tensors do not need")
  }

  private mutating func execute(
    _ opcode: PickleOpcode, _ bytes: Span<UInt8>
  ) throws(TensorFileError) {
    switch opcode {
    case .stop: break
    case .mark:
      guard marks.count < limits.pickleMarks else {
        throw error(.limit, "more than \(limits.pickleMarks) pickle marks at once")
      }
      marks.append(stack.count)
    case .none: try push(.none)
    case .true: try push(.bool(true))
    case .false: try push(.bool(false))
    case .uint8: try push(.integer(Int(try argument(cursor.uint8(in: bytes)))))
    case .uint16: try push(.integer(Int(try argument(cursor.uint16(in: bytes)))))
    case .int32:
      try push(.integer(Int(Int32(bitPattern: try argument(cursor.uint32(in: bytes))))))
    case .long1: try long(Int(try argument(cursor.uint8(in: bytes))), bytes)
    case .long4: try long(Int(Int32(bitPattern: try argument(cursor.uint32(in: bytes)))), bytes)
    case .real:
      let pattern = try argument(cursor.uint64(in: bytes))
      try push(.real(Double(bitPattern: pattern.byteSwapped)))
    case .string: try text(bytes)
    case .bytes:
      try push(.data(try slice(Int(try argument(cursor.uint32(in: bytes))), bytes)))
    case .shortBytes:
      try push(.data(try slice(Int(try argument(cursor.uint8(in: bytes))), bytes)))
    case .global: try global(bytes)
    case .emptyTuple: try push(.tuple(try container([])))
    case .tuple1: try pushTuple(of: 1)
    case .tuple2: try pushTuple(of: 2)
    case .tuple3: try pushTuple(of: 3)
    case .tuple: try push(.tuple(try container(try popToMark())))
    case .emptyList: try push(.list(try container([])))
    case .emptyDictionary: try push(.dictionary(try container([])))
    case .append: try appendItems([try pop()])
    case .appends: try appendItems(try popToMark())
    case .setItem:
      let value = try pop()
      try setItems([try pop(), value])
    case .setItems: try setItems(try popToMark())
    case .put: try remember(Int(try argument(cursor.uint8(in: bytes))))
    case .longPut: try remember(Int(try argument(cursor.uint32(in: bytes))))
    case .get: try recall(Int(try argument(cursor.uint8(in: bytes))))
    case .longGet: try recall(Int(try argument(cursor.uint32(in: bytes))))
    case .persistentID: try push(try storage(try pop(), bytes))
    case .reduce:
      let arguments = try pop()
      try push(try call(try pop(), arguments, bytes))
    case .build:
      let state = try pop()
      try build(try top(), state, bytes)
    }
  }
}

// MARK: - Stack, memo and containers

extension PickleReader {
  func error(_ code: TensorFileCode, _ detail: String) -> TensorFileError {
    TensorFileError(code, detail, at: .byte(place))
  }

  private func hex(_ byte: UInt8) -> String { String(byte, radix: 16) }

  private mutating func push(_ value: PickleValue) throws(TensorFileError) {
    try checkRoom(for: 1)
    stack.append(value)
  }

  /// There is room for `count` more values, wherever they go.
  private func checkRoom(for count: Int) throws(TensorFileError) {
    guard stack.count + memo.count + itemCount + count <= limits.pickleValues else {
      throw error(
        .limit,
        "more than \(limits.pickleValues) values on the pickle's stack, in its memo and containers")
    }
  }

  private mutating func pop() throws(TensorFileError) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.popLast() else {
      throw error(.pickleOperand, "pickle opcode finds no operand on the stack")
    }
    return value
  }

  private func top() throws(TensorFileError) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.last else {
      throw error(.pickleOperand, "pickle opcode finds no operand on the stack")
    }
    return value
  }

  private mutating func popToMark() throws(TensorFileError) -> [PickleValue] {
    guard let mark = marks.popLast() else {
      throw error(.pickleOperand, "pickle opcode finds no MARK on the stack")
    }
    let items = Array(stack[mark...])
    stack.removeSubrange(mark...)
    return items
  }

  private mutating func pushTuple(of count: Int) throws(TensorFileError) {
    var items: [PickleValue] = []
    for _ in 0..<count { items.append(try pop()) }
    try push(.tuple(try container(items.reversed())))
  }

  mutating func container(_ items: [PickleValue]) throws(TensorFileError) -> Int {
    guard document.containers.count < limits.pickleContainers else {
      throw error(.limit, "more than \(limits.pickleContainers) containers in the pickle")
    }
    try countItems(items.count)
    document.containers.append(items)
    return document.containers.count - 1
  }

  private mutating func countItems(_ count: Int) throws(TensorFileError) {
    try checkRoom(for: count)
    itemCount += count
  }

  /// Counts an object that costs more than the value on the stack.
  mutating func countObject() throws(TensorFileError) {
    objectCount += 1
    guard objectCount <= 4 * limits.tensors else {
      throw error(.limit, "more than \(4 * limits.tensors) tensors and parts of them in the pickle")
    }
  }

  private mutating func appendItems(_ items: [PickleValue]) throws(TensorFileError) {
    guard case .list(let index) = try top() else {
      throw error(.pickleOperand, "pickle appends to something that is no list")
    }
    try countItems(items.count)
    document.containers[index] += items
  }

  private mutating func setItems(_ items: [PickleValue]) throws(TensorFileError) {
    guard case .dictionary(let index) = try top(), items.count.isMultiple(of: 2) else {
      throw error(.pickleOperand, "pickle sets items of no dictionary, or a key without value")
    }
    try countItems(items.count)
    document.containers[index] += items
  }

  private mutating func remember(_ index: Int) throws(TensorFileError) {
    try checkRoom(for: index + 1 - memo.count)
    let value = try top()
    while memo.count <= index { memo.append(nil) }
    memo[index] = value
  }

  private mutating func recall(_ index: Int) throws(TensorFileError) {
    guard index < memo.count, let value = memo[index] else {
      throw error(.pickleOperand, "pickle recalls memo \(index), which was never set")
    }
    try push(value)
  }
}

// MARK: - Arguments

extension PickleReader {
  private func argument<Value>(_ value: Value?) throws(TensorFileError) -> Value {
    guard let value else { throw error(.truncated, "pickle ends inside an opcode's argument") }
    return value
  }

  private mutating func slice(
    _ count: Int, _ bytes: Span<UInt8>
  ) throws(TensorFileError) -> PickleSlice {
    let range = try argument(cursor.range(count, in: bytes))
    return try argument(PickleSlice(range))
  }

  private mutating func text(_ bytes: Span<UInt8>) throws(TensorFileError) {
    let slice = try slice(Int(try argument(cursor.uint32(in: bytes))), bytes)
    guard (try? UTF8Span(validating: bytes.extracting(slice.range))) != nil else {
      throw error(.pickleOpcode, "pickle string is not UTF-8")
    }
    try push(.string(slice))
  }

  /// A signed little-endian integer of `count` bytes.
  private mutating func long(_ count: Int, _ bytes: Span<UInt8>) throws(TensorFileError) {
    guard count >= 0 else { throw error(.pickleOpcode, "pickle integer of negative length") }
    guard count <= 8 else {
      throw error(.limit, "pickle integer of \(count) bytes, the limit is 8")
    }
    let digits = try argument(cursor.bytes(count, in: bytes))
    var value: Int64 = digits.last.map { $0 & 0x80 != 0 ? -1 : 0 } ?? 0
    for digit in digits.reversed() { value = value << 8 | Int64(digit) }
    try push(.integer(Int(value)))
  }

  private mutating func global(_ bytes: Span<UInt8>) throws(TensorFileError) {
    let start = cursor.offset
    var end = start
    for _ in 0..<2 {
      while end < bytes.count, bytes[end] != 0x0A { end += 1 }
      guard end < bytes.count else { throw error(.truncated, "pickle ends inside a name") }
      end += 1
    }
    _ = cursor.range(end - start, in: bytes)
    guard end - 1 - start <= limits.pickleString else {
      throw error(.limit, "pickle names something by more than \(limits.pickleString) bytes")
    }
    guard let pair = String(validating: bytes.copy(start..<end - 1), as: UTF8.self) else {
      throw error(.pickleOpcode, "pickle names something that is not UTF-8")
    }
    guard !hasLongCombiningRun(pair) else {
      throw error(
        .limit, "pickle name with more than \(combiningRunLimit) combining characters in a row")
    }
    guard let global = PickleGlobal(pair) else {
      let name = pair.split(separator: "\n", omittingEmptySubsequences: false)
        .joined(separator: ".")
      throw error(
        .pickleGlobal,
        "pickle names \(quoted(name)), which is no tensor and was not run: save the tensor alone")
    }
    try push(.global(global))
  }
}
