import LeanKMask
import TestSupport
import Testing

@Suite("Masks")
struct ChannelMaskTests {
  @Test("a channel set is a set", arguments: [1, 63, 64, 65, 128, 200])
  func channelSet(width: Int) {
    var generator = SeededGenerator(seed: UInt64(width))
    let members = Set((0..<width).filter { _ in Bool.random(using: &generator) })
    let others = Set((0..<width).filter { _ in Bool.random(using: &generator) })
    let set = ChannelSet(width: width, channels: members)
    let other = ChannelSet(width: width, channels: others)
    #expect(set.channels == members.sorted())
    #expect(set.count == members.count)
    #expect(set.isEmpty == members.isEmpty)
    #expect(set.union(other).channels == members.union(others).sorted())
    #expect(set.intersection(other).channels == members.intersection(others).sorted())
    #expect(set.isSubset(of: other) == members.isSubset(of: others))
    #expect(ChannelSet.full(width: width).count == width)
    var cleared = set
    for channel in members { cleared[channel] = false }
    #expect(cleared == ChannelSet(width: width))
    var words = [UInt64](repeating: 0, count: (width + 63) / 64)
    for channel in members { words[channel / 64] |= 1 << UInt64(channel % 64) }
    #expect(ChannelSet(width: width, words: words) == set)
    let ones = words.map { _ in UInt64.max }
    #expect(ChannelSet(width: width, words: ones) == ChannelSet.full(width: width))
  }

  @Test("half pairs are (j, j + r/2), interleaved ones (2j, 2j + 1), none past the rotary width")
  func partners() throws {
    let half = try RotaryGeometry(width: 8, pairing: .half)
    #expect((0..<10).map { half.partner(of: $0) } == [4, 5, 6, 7, 0, 1, 2, 3, nil, nil])
    #expect((0..<10).map { half.frequencyIndex(of: $0) } == [0, 1, 2, 3, 0, 1, 2, 3, nil, nil])
    let interleaved = try RotaryGeometry(width: 6, pairing: .interleaved)
    #expect((0..<8).map { interleaved.partner(of: $0) } == [1, 0, 3, 2, 5, 4, nil, nil])
    #expect((0..<8).map { interleaved.frequencyIndex(of: $0) } == [0, 0, 1, 1, 2, 2, nil, nil])
    #expect(RotaryGeometry.none.partner(of: 0) == nil)
    #expect(try RotaryGeometry(width: 0, pairing: .interleaved) == .none)
  }

  @Test("closure adds partners and nothing else")
  func closure() throws {
    let set = ChannelSet(width: 10, channels: [1, 6, 9])
    #expect(
      set.closure(under: try RotaryGeometry(width: 8, pairing: .half)).channels == [1, 2, 5, 6, 9])
    #expect(
      set.closure(under: try RotaryGeometry(width: 8, pairing: .interleaved)).channels
        == [0, 1, 6, 7, 9])
    #expect(set.closure(under: .none) == set)
  }

  @Test("impossible geometry has no value")
  func invariants() throws {
    func code<Value>(_ body: () throws(MaskError) -> Value) -> MaskError.Code? {
      do throws(MaskError) {
        _ = try body()
        return nil
      } catch {
        return error.code
      }
    }
    #expect(
      code { () throws(MaskError) in try RotaryGeometry(width: 3, pairing: .half) } == .rotaryWidth)
    #expect(
      code { () throws(MaskError) in try RotaryGeometry(width: -2, pairing: .half) } == .rotaryWidth
    )
    #expect(code { () throws(MaskError) in try LayerGeometry(kvHeads: 0, headDim: 4) } == .geometry)
    let wide = AttentionGeometry(
      queryHeads: 4, rotary: try RotaryGeometry(width: 8, pairing: .half))
    #expect(
      code { () throws(MaskError) in try LayerGeometry(kvHeads: 2, headDim: 4, attention: wide) }
        == .rotaryWidth)
    #expect(
      code { () throws(MaskError) in try LayerGeometry(kvHeads: 3, headDim: 8, attention: wide) }
        == .geometry)
    let geometry = try LayerGeometry(kvHeads: 2, headDim: 4)
    let head = ChannelSet(width: 4)
    #expect(
      code { () throws(MaskError) in try LayerMask(geometry: geometry, heads: [head]) }
        == .headCount)
    #expect(
      code { () throws(MaskError) in
        try LayerMask(geometry: geometry, heads: [head, ChannelSet(width: 5)])
      } == .headWidth)
    #expect(code { () throws(MaskError) in try ChannelMask(layers: []) } == .layerCount)
    let none = try LayerMask(geometry: .withoutCache, heads: [])
    #expect(code { () throws(MaskError) in try ChannelMask(layers: [none, none]) } == .geometry)
    #expect(
      code { () throws(MaskError) in try LayerMask(geometry: .withoutCache, heads: [head]) }
        == .headCount)
    let noValues = AttentionGeometry(queryHeads: 2, rotary: .none, valueDim: 0)
    #expect(
      code { () throws(MaskError) in try LayerGeometry(kvHeads: 2, headDim: 4, attention: noValues)
      }
        == .geometry)
    #expect(code { () throws(MaskError) in try Alignment(unit: 0, rule: .given) } == .alignment)
    #expect(
      code { () throws(MaskError) in try Alignment(unit: 1, rule: .given, targetRatio: .nan) }
        == .alignment)
    #expect(
      code { () throws(MaskError) in try AttentionWindow(sink: 0, recent: 0, accumulate: 1) }
        == .deployment)
    let mask = try ChannelMask(layers: [LayerMask(geometry: geometry, heads: [head, head])])
    let few = try ImportanceScores(kind: "x", values: [1])
    #expect(code { () throws(MaskError) in try MaskDocument(mask: mask, scores: few) } == .scores)
  }

  @Test("a mask adopts a checkpoint's geometry only where it fits")
  func adoption() throws {
    let bare = try LayerGeometry(kvHeads: 1, headDim: 4)
    let mask = try ChannelMask(layers: [
      LayerMask(geometry: bare, heads: [ChannelSet(width: 4, channels: [0])])
    ])
    let attention = AttentionGeometry(
      queryHeads: 2, rotary: try RotaryGeometry(width: 4, pairing: .interleaved))
    let full = try LayerGeometry(kvHeads: 1, headDim: 4, attention: attention)
    let adopted = try mask.adopting([full])
    #expect(try mask.closed.layers[0].heads[0].channels == [0, 2])
    #expect(try adopted.closed.layers[0].heads[0].channels == [0, 1])
    #expect(throws: MaskError(.layerCount, "")) { try mask.adopting([full, full]) }
    #expect(throws: MaskError(.geometry, "")) {
      try mask.adopting([LayerGeometry(kvHeads: 2, headDim: 4)])
    }
    let other = AttentionGeometry(queryHeads: 4, rotary: attention.rotary)
    #expect(throws: MaskError(.geometry, "")) {
      try adopted.adopting([LayerGeometry(kvHeads: 1, headDim: 4, attention: other)])
    }
  }

  @Test("a mask adopts a checkpoint some layers of which have no K cache of heads")
  func adoptionOfSomeLayers() throws {
    let attention = AttentionGeometry(
      queryHeads: 2, rotary: try RotaryGeometry(width: 4, pairing: .half), valueDim: 6)
    let full = try LayerGeometry(kvHeads: 1, headDim: 4, attention: attention)
    let bare = try LayerMask(
      geometry: LayerGeometry(kvHeads: 1, headDim: 4), heads: [ChannelSet.full(width: 4)])
    let none = try LayerMask(geometry: .withoutCache, heads: [])
    let model: [LayerGeometry] = [.withoutCache, full, .withoutCache, full, .withoutCache]
    for layers in [
      [none, bare, none, bare, none], [none, bare, none, bare], [bare, bare],
    ] {
      let adopted = try ChannelMask(layers: layers).adopting(model)
      #expect(adopted.layers.map(\.geometry) == model)
      #expect(adopted.layers.map(\.keptCount) == [0, 4, 0, 4, 0])
      #expect(adopted.knowsAttention && adopted.layers[1].geometry.valueDim == 6)
    }
    for (layers, code) in [
      ([bare, none, bare, none, none], MaskError.Code.geometry),
      ([bare, none, bare, none], .geometry), ([none, bare], .layerCount), ([bare], .layerCount),
      ([bare, bare, bare], .layerCount), ([bare, bare, bare, bare, bare], .geometry),
    ] {
      #expect(throws: MaskError(code, "")) { try ChannelMask(layers: layers).adopting(model) }
    }
    // a width that is the keys' own is no difference
    let plain = AttentionGeometry(queryHeads: 2, rotary: attention.rotary, valueDim: 4)
    #expect(try LayerGeometry(kvHeads: 1, headDim: 4, attention: plain).attention?.valueDim == nil)
  }

  /// The rule in DESIGN, spelled with sets: near keys of decoded token j at position t.
  @Test("near keys are the sink and a recent window that grows until it is flushed")
  func window() throws {
    let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
    let near = { (j: Int, t: Int) in
      (0...t).filter { window.isNear(key: $0, token: j, position: t) }
    }
    #expect(near(1, 24) == Array(0..<4) + Array(16...24))
    #expect(near(3, 26) == Array(0..<4) + Array(16...26))
    #expect(near(4, 27) == Array(0..<4) + Array(20...27))
    #expect(near(1, 5) == Array(0...5))
  }
}
