import ByteIO
import TensorFiles
import Testing

/// What a torch file's pickle may not say, one case each.
struct PickleErrorTests {
  /// A pickle under construction, in the order it is written.
  private struct Pickle {
    var bytes: [UInt8] = [0x80, 2]

    func adding(_ more: [UInt8]) -> Pickle { Pickle(bytes: bytes + more) }
    func op(_ code: String) -> Pickle { adding(Array(code.utf8)) }
    func int(_ value: UInt8) -> Pickle { adding([0x4B, value]) }
    func global(_ module: String, _ name: String) -> Pickle { op("c\(module)\n\(name)\n") }
    func string(_ text: String) -> Pickle {
      var writer = ByteWriter()
      writer.append(UInt8(0x58))
      writer.append(UInt32(text.utf8.count))
      return adding(writer.bytes).adding(Array(text.utf8))
    }
    func dtype(_ name: String) -> Pickle {
      global("numpy", "dtype").op("(").string(name).adding([0x89, 0x88]).op("tR")
    }
    func array() -> Pickle {
      global("numpy.core.multiarray", "_reconstruct").op("(").global("numpy", "ndarray")
        .int(0).adding([0x85]).string("b").op("tR")
    }
    /// A storage of four F32 elements in record 0.
    func storage() -> Pickle {
      op("(").string("storage").global("torch", "FloatStorage").string("0").string("cpu").int(4)
        .op("tQ")
    }
    /// A vector of four elements on that storage.
    func tensor() -> Pickle {
      global("torch._utils", "_rebuild_tensor_v2").op("(").storage().int(0).op("(").int(4).op("t")
        .op("(").int(1).op("t").adding([0x89]).global("collections", "OrderedDict").op(")RtR")
    }
  }

  private static func archive(_ pickle: [UInt8]) -> [UInt8] {
    ZipBuilder([
      .init("a/data.pkl", pickle), .init("a/data/0", [UInt8](repeating: 0, count: 16)),
    ]).bytes
  }

  private static func expect(
    _ code: TensorFileCode, _ pickle: Pickle, limits: TensorFileLimits = .standard,
    stop: Bool = true, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let file = archive(pickle.bytes + (stop ? [0x2E] : []))
    #expect(throws: TensorFileError(code, ""), sourceLocation: sourceLocation) {
      try PthReader.read(file.span, limits: limits)
    }
  }

  private static func limits(_ change: (inout TensorFileLimits) -> Void) -> TensorFileLimits {
    var limits = TensorFileLimits.standard
    change(&limits)
    return limits
  }

  private let start = Pickle()

  @Test func asBuiltItIsRead() throws {
    let file = Self.archive(start.tensor().bytes + [0x2E])
    let tensors = try PthReader.read(file.span)
    #expect(tensors.map(\.array.shape) == [[4]])
  }

  /// `String` takes quadratic time to hash or compare these.
  @Test func longRunsOfCombiningCharacters() {
    let run = String(repeating: "\u{301}\u{316}", count: 16)
    Self.expect(.limit, start.op("}").string("a" + run).tensor().op("s"))
    Self.expect(.limit, start.global("torch" + run, "FloatStorage"))
    var archive = ZipBuilder([.init("a\(run)/data.pkl", start.tensor().bytes + [0x2E])])
    archive.members[0].flags = 0x0800
    let file = archive.bytes
    #expect(throws: TensorFileError(.limit, "")) { try PthReader.read(file.span) }
  }

  @Test func plainValuesArePassedOver() throws {
    let file = Self.archive(
      start.op("](C\u{2}abG").adding([UInt8](repeating: 0, count: 8))
        .adding([0x42, 1, 0, 0, 0, 7, 0x8A, 1, 0xFF]).op("N").tensor().op("e.").bytes)
    let tensors = try PthReader.read(file.span)
    #expect(tensors.map(\.name) == ["5"])
  }

  @Test func notAPickle() {
    Self.expect(.pickleOpcode, Pickle(bytes: [0xFE]))
    Self.expect(.truncated, Pickle(bytes: [0x80]), stop: false)
    Self.expect(.pickleOpcode, Pickle(bytes: [0x80, 6]).op("N"))
  }

  @Test func protoStandsLate() { Self.expect(.pickleOpcode, start.adding([0x80, 2]).op("N")) }

  @Test func limitsOfSize() {
    Self.expect(.limit, start.tensor(), limits: Self.limits { $0.pickleBytes = 20 })
    Self.expect(.limit, start.tensor(), limits: Self.limits { $0.pickleOpcodes = 5 })
    Self.expect(.limit, start.op("NNN"), limits: Self.limits { $0.pickleValues = 2 })
    Self.expect(.limit, start.op("]]"), limits: Self.limits { $0.pickleContainers = 1 })
    let two = Self.limits { $0.pickleValues = 2 }
    Self.expect(.limit, start.op("](N").adding([0x85]).op("N").adding([0x85]).op("Ne"), limits: two)
    Self.expect(.limit, start.op("]NaNaNa"), limits: two)
    Self.expect(.limit, start.op("}NNsNNs"), limits: two)
    Self.expect(
      .limit, start.global("collections", "OrderedDict"),
      limits: Self.limits { $0.pickleString = 4 })
    Self.expect(
      .limit, start.op("}").string("a").string(String(repeating: "b", count: 70_000)).op("s"))
    Self.expect(
      .limit, start.op("}").string("aaaa").tensor().op("s"),
      limits: Self.limits { $0.tensorName = 3 })
    Self.expect(
      .limit, start.op("](").tensor().tensor().tensor().op("e"),
      limits: Self.limits { $0.tensors = 2 })
    Self.expect(.limit, start.tensor(), limits: Self.limits { $0.tensors = 0 })
    Self.expect(.limit, start.tensor(), limits: Self.limits { $0.elements = 3 })
    Self.expect(.limit, start.tensor(), limits: Self.limits { $0.arrayBytes = 15 })
  }

  @Test func tensorsAreCounted() {
    let two = Self.limits { $0.tensors = 2 }
    // one tensor thrice
    Self.expect(.limit, start.op("](").tensor().op("q\u{0}h\u{0}h\u{0}e"), limits: two)
    // four tensors by one set of arguments
    let first = start.op("](").global("torch._utils", "_rebuild_tensor_v2").op("q\u{0}(").storage()
      .int(0).op("))").adding([0x89]).global("collections", "OrderedDict").op(")Rtq\u{1}R")
    let more = String(repeating: "h\u{0}h\u{1}R", count: 3)
    Self.expect(.limit, first.op(more + "e"), limits: two)
  }

  @Test func sharedContainersAreNotExpandedForEver() {
    // Sixteen times eight references to the list before.
    var pickle = start.op("]q").adding([0])
    for level in UInt8(0)..<16 {
      pickle = pickle.op("](")
      for _ in 0..<8 { pickle = pickle.op("h").adding([level]) }
      pickle = pickle.op("eq").adding([level + 1])
    }
    // all but the outermost are elements of one tuple
    let file = start.op("(").adding(Array(pickle.bytes.dropFirst(2))).op("t")
    Self.expect(.limit, file)
  }

  @Test func viewsAreNotRepeatedForEver() {
    let pickle = start.op("](").tensor().op("q\u{0}h\u{0}h\u{0}h\u{0}h\u{0}e")
    Self.expect(.limit, pickle, limits: Self.limits { $0.expansion = -500 })
  }

  @Test func operandsAreMissing() {
    Self.expect(.pickleOperand, start.op("b"))
    Self.expect(.pickleOperand, start.op("N(b"))
    Self.expect(.pickleOperand, start.op("a"))
    Self.expect(.pickleOperand, start.op("Na"))
    Self.expect(.pickleOperand, start.op("(q\u{0}"))
    Self.expect(.pickleOperand, start.op("NN"))
    Self.expect(.pickleOperand, start.op("(N"))
  }

  @Test func argumentsAreCut() {
    Self.expect(.truncated, start.op("X").adding([1, 0]), stop: false)
    Self.expect(.truncated, start.op("C").adding([9]), stop: false)
    Self.expect(.truncated, start.op("ccollections"), stop: false)
  }

  @Test func reconstructOfSomethingElse() {
    Self.expect(
      .pickleOperand,
      start.global("numpy.core.multiarray", "_reconstruct").op("(NNNtR"))
  }

  @Test func encodeOfSomethingElse() {
    Self.expect(
      .pickleOperand,
      start.global("_codecs", "encode").string("a").string("utf-8").adding([0x86]).op("R"))
  }

  @Test func orderedDictionaryOfSomethingElse() {
    let name = start.global("collections", "OrderedDict")
    Self.expect(.pickleOperand, name.op("N").adding([0x85]).op("R"))
    Self.expect(.pickleOperand, name.op("]Na").adding([0x85]).op("R"))
    Self.expect(.pickleOperand, name.op(")RNb"))
  }

  @Test func parameterOfSomethingElse() {
    Self.expect(
      .pickleOperand, start.global("torch._utils", "_rebuild_parameter").op("(NNNtR"))
  }

  @Test func classesAreNotCalled() {
    Self.expect(.pickleOperand, start.global("numpy", "ndarray").op(")R"))
  }

  @Test func numpyTypes() {
    Self.expect(.pickleOperand, start.global("numpy", "dtype").op(")R"))
    Self.expect(.objectArray, start.dtype("O8"))
    Self.expect(.elementType, start.dtype("c8"))
    Self.expect(.pickleOperand, start.dtype("f4").op("Nb"))
    let state = start.dtype("f4").op("(").int(3).string("=").op("NNNtb")
    Self.expect(.pickleOperand, state)
  }

  @Test func numpyArrays() {
    Self.expect(.pickleOperand, start.array())
    Self.expect(.pickleOperand, start.array().op("Nb"))
    let shape = start.array().op("(").int(1).op("(").int(2).op("t").dtype("b1").adding([0x89])
    Self.expect(.pickleOperand, shape.op("Ntb"))
    Self.expect(.torchTensor, shape.op("C").adding([1, 1]).op("tb"))
    let text = shape.global("_codecs", "encode").string("\u{1}\u{100}").string("latin1")
      .adding([0x86]).op("Rtb")
    Self.expect(.pickleOperand, text)
    let negative = start.array().op("(").int(1).op("(J").adding([0xFF, 0xFF, 0xFF, 0xFF]).op("t")
      .dtype("b1").adding([0x89]).op("C").adding([0]).op("tb")
    Self.expect(.torchTensor, negative)
  }

  @Test func latin1AboveASCII() throws {
    let pickle = start.array().op("(").int(1).op("(").int(3).op("t").dtype("u1").adding([0x89])
      .global("_codecs", "encode").string("\u{7F}\u{80}\u{FF}").string("latin1").adding([0x86])
      .op("Rtb.")
    let file = Self.archive(pickle.bytes)
    let tensors = try PthReader.read(file.span)
    #expect(tensors.map(\.array.bytes) == [[0x7F, 0x80, 0xFF]])
  }

  @Test func namesOfTensors() {
    Self.expect(.pickleOperand, start.op("}N").tensor().op("s"))
    Self.expect(
      .duplicateName, start.op("}").string("a").tensor().op("s").string("a").tensor().op("s"))
    Self.expect(
      .duplicateName,
      start.op("}").string("a.b").tensor().op("s").string("a").op("}").string("b").tensor().op("ss")
    )
  }

  @Test func partsAreNoValues() {
    Self.expect(.pickleOperand, start.storage())
    Self.expect(.pickleOperand, start.dtype("f4"))
    Self.expect(.pickleOperand, start.global("torch", "FloatStorage"))
  }

  // MARK: - Records

  @Test func recordsOutsideTheFolder() {
    let file = ZipBuilder([.init("data.pkl", [0x80, 2, 0x4E, 0x2E])]).bytes
    #expect(throws: TensorFileError(.torchArchive, "")) { try PthReader.read(file.span) }
  }

  @Test func aFileWithoutTensorsIsEmpty() throws {
    let file = Self.archive([0x80, 2, 0x4E, 0x2E])
    #expect(try PthReader.read(file.span).isEmpty)
  }
}
