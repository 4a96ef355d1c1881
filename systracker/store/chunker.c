/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/chunker.h"

#include <stdbool.h>
#include <string.h>

/* Entry n: the first 8 bytes, little-endian, of SHA-256("systracker gear", n as one byte). */
static const uint64_t gear[256] = {
    0x9b56543d70ea4d8c, 0x131224a10a72a0ad, 0x52f63ed12ee54bd2, 0x1de4ebdd965fd73b,
    0xa0d4ae03a99f550a, 0x5d9ad06c57a99fe9, 0x7694fd67058b9926, 0x027a4f283743277d,
    0xf623caf7e2ddbbd2, 0x8ed66ea0862fb174, 0xeb84138440954b3a, 0x4c7a5c006009375d,
    0x4cb2c149955280e6, 0x545bae1be4a9f679, 0xd29198baa8ba5e04, 0x34a6bc5efb3e812d,
    0xd33c066b4bb912ff, 0x7309fff4105252e8, 0xa6f2292d558670df, 0xc7f5c5f5badaca85,
    0xb857f57440a81007, 0x600cfd2c3dadf626, 0xdb853eeb4cca964a, 0xa8b30ddc4db1f4db,
    0xbc0ed27d474d2bb4, 0x527511c2e846a1bb, 0x421addd99057389d, 0x37cdb0eaaa07eccf,
    0xb89ebd126a35c4bf, 0x5d181ff64ff4c5a1, 0x6e144dbb00fa0577, 0xffadf2d18edbca53,
    0x08169b8caea0f703, 0x4d01cb3d959e8527, 0x1712ac771d1373c9, 0x3e54a2eff0c2ea98,
    0x7d58c51b21d221d3, 0xde8323b131bd1d10, 0x0a190790a3e5252f, 0x516560e933f6940f,
    0xf31d36cef526c515, 0xd718266761e95544, 0x4c1150b3f0089ead, 0x302a3634c5244461,
    0xdb30a05d8d825abf, 0xee01990e5a6c51f8, 0x1cb941e3a9a24c4c, 0xf25b8ca46f78b944,
    0xd4533be99220d6a1, 0x3adb61c30cb9fcfa, 0x14a529611ebc6452, 0x0351889bf031a56d,
    0x0e556bd3a2bba5f9, 0x8f36ba51cc3d3dca, 0x3cc30912d085f9b2, 0x740203871f9675b8,
    0x39331172f78bd9a0, 0x4381bdd2e80968a1, 0x56b9440fc0704f84, 0xfe7a953164ecd817,
    0xb5753efc221f283d, 0x61bcbb2586839d54, 0x4bf3b449136a9b3c, 0x5136b25eae7ffc6f,
    0xc925a08a1dfdf70e, 0x4a910d4194e2ecab, 0xa6a3425cd70b4ad7, 0xeacf66a14451baf3,
    0x63f5577e2a4ff159, 0x839c43fcbfdab1dd, 0x828971808be46ba9, 0xc182e10127d7e1e4,
    0xd0630d3a6bf8028d, 0xf1a954dd1be04925, 0xf332b66b3c1aa2fb, 0xe5fc9f44eda22d78,
    0xd0c7d0e64f682909, 0x051a0b654d34c485, 0xb16e50343a4642cd, 0xf37e9ff910114635,
    0xfe8c4cc6907f7d44, 0x3d2b1bcd11411257, 0xdbe7581d9e023c91, 0xb6e371034ed978dd,
    0xc712f2fd682d473c, 0xe14465a969b082f5, 0x018c87d55bcc8df7, 0xc29164f70faec685,
    0x1547b10f8b3df9e3, 0xfe35e4c1df7b56d4, 0x97df45b9f6dfe899, 0x5601f6e207d4721a,
    0x59a55b7a88cdb792, 0x4e8e4f0e78f8bbaf, 0x01b0eaf126b1c8a6, 0x0842fe54e8a5f5e5,
    0x86f574b45c7b0a7c, 0x0cb70d6c49f41ac9, 0x6e70a34ebc9ba9c8, 0x5e8a9c54f63bcb7c,
    0x3d82b40b91f088ea, 0x20f2b5dc83c63d8e, 0xd6017f60e77081c2, 0xb3776723e1571823,
    0xac903ebc2b482ca9, 0x8f3c00b1a829154a, 0xd3d80fdb09bd6722, 0x94ec31b67480403a,
    0xbd43b581e0932909, 0x6a728e7c4cec227e, 0x84cbfd72b8754448, 0x2e322283dcf29ea7,
    0x39d57e18134e4960, 0xe8bd35d044e99867, 0x84bd61ef7682e40e, 0x5d0d300740cc5ed0,
    0xadc4af0a712bdf7f, 0xae2d12579fc3c3c0, 0x575c31fcf54d7c00, 0x08c1bd0eda9fba99,
    0x46f35f6750ee43f0, 0xe79a7513632b51b5, 0x548a93aadb1fd0aa, 0x210e132caab46548,
    0xcd3e33d40f793747, 0x8c7cf2f13b7bb544, 0x6dac33576e0300c8, 0x3a28fea1b55e4891,
    0x2e88b0d2da8dc704, 0xdaa647d63308fc70, 0xfea7e07921f2fa7e, 0x56e67776f5f0e55a,
    0x25292a9e0c054acb, 0x098c9e7ff4b5bed0, 0x8682d042e0498031, 0xb081e8a3b0c202e8,
    0xd39dfd108a4f504a, 0xc5cee8dcb95a8b06, 0xab8fefeed6b1965d, 0xbf10613e5628255f,
    0xde181396e51dda12, 0xec6fd0ab8c2ac423, 0xb4c6d4b81aa94b98, 0x1fe65b0af5ccb2a2,
    0x5c13c22200df360f, 0xa449deffd0f33dd0, 0xddc17d234dffd5bb, 0x054a65664f858a2f,
    0x4c888846274344fd, 0xad9eb8bc9478f31d, 0x8e5d75a564a16b99, 0x78321eb1f42cded2,
    0x2e61e4320744837f, 0x328488e7bf6a27ed, 0xa4cacc9a3f593af4, 0x1efd71ff9b6b021f,
    0x1ba9a7fa4ce41ce3, 0x1d3b49e569855f38, 0x2b9515ca6028933b, 0x149cfdffd6934927,
    0x632cf984238861d4, 0x858ef0ebc59af8b9, 0x116f28bbc0eca4fa, 0x4ca93c620dfd4eb2,
    0xae20a9b68210cab7, 0x2990947dde255707, 0xde8b845b0d8602f7, 0x81b34439de31dc14,
    0x83201b35b5989b0d, 0xf71e0d4aaf5e2641, 0x6ab2becbe42cdd99, 0xe35e42732837817c,
    0x7160fe8a6cdaf22e, 0x3e92473567f80c9e, 0x8f707fe68705d118, 0x0952e31117fd469d,
    0x87ab94d11393eae2, 0xf3b4bd0de388af74, 0x6d505697919825ef, 0x2b3e20ca66a10f6a,
    0x1e9ce46a7cd8188b, 0xecc435c6ebcc611e, 0xc1110da80484a87f, 0xd90bdac941228211,
    0xea92734f3056f118, 0x39ef2b22cfaf2f7a, 0x919262a073ff0b9b, 0xf6bbaa26104d2a89,
    0x3e270ce38b1442cc, 0x8c07ae4f66e17a3f, 0x72b3777957ac0da0, 0xc68900c9433b8db6,
    0xdbc04400c59c3dcd, 0x0695fbac53610edd, 0x4ad4e48016938d22, 0xa2159c8349d10f12,
    0x9687cd144e3db85f, 0xebfbff780a728eec, 0xd2b44adc30691be3, 0x364bd5724f7da2c6,
    0x68f5f2d403b57bce, 0x5b6e43e45bf691cb, 0x6c8dee265f1cf023, 0x39e7392ed9d2a410,
    0xa2deae3bbf1aecfa, 0x8accb2eb0ab3b2d5, 0xa6292284fafb7fa7, 0x8d11af741b26be83,
    0x980b1a20e2b23440, 0x56fb633c771e0c1f, 0x875e7cc9babdd8e2, 0x166ee7be2276374f,
    0x469d1bad56075c7c, 0x2d5b2a861c4f5ced, 0xffc4e5d43d4e2bdd, 0xd82a685a856cfccb,
    0x59692d50e33bc906, 0x41250656c8751e08, 0x2497b22ff40e7757, 0xb4385eb82e4fa3c2,
    0x03fdae962b69a7ed, 0x001cddafba48b252, 0xed5b033c99fcefcd, 0xd2f7d62e8d372743,
    0x3225d903b84a73b2, 0x4050fa6f9d660e82, 0xab2a295c48f3257a, 0xd2aa168241920a19,
    0xc24a044a81df7f98, 0xabc8d319d12c2405, 0x3eefdbf2159a7c0a, 0x4ead4ef33371d109,
    0x779bef6739c4aad2, 0x5ac4f073acfe7509, 0x5910c0cc019c6aff, 0x5bb5d539662ad5de,
    0xbd225bcd283b014b, 0xc2cb80fe8c05baa5, 0x34ba2c9c84989eac, 0xa27ff42f2ed10afa,
    0x89dcf20944bfb8f9, 0x9c204e795ad53e15, 0x2a5824d635aa6f48, 0x284fb568d413a628,
    0xa1444726ed81cf89, 0x1a6660e1116c929f, 0xe9c713ed9430043f, 0xc81a02f7ecbad6c5,
    0xc7e4da5774b95f7a, 0x66244000445f9e4b, 0x288cd04874f9a85e, 0x0b0f61ddb5dc2115,
    0xfac8ffbfd7dd1818, 0xa267db7d5ef3db49, 0xe986ee681f2e6062, 0xa6d8902486dc1913,
};

/* The highest bits of the hash depend on the last 64 bytes.  Before the average two more have to be
 * zero, behind it two fewer, which brings the lengths nearer to it ("normalised chunking"). */
#define BITS 20
#define STRICT (~0ULL << (64 - BITS - 2))
#define LAX (~0ULL << (64 - BITS + 2))
_Static_assert(ST_CHUNK_AVERAGE == 1U << BITS, "the masks are those of the average");

static bool is_zero(const uint8_t *data, size_t length)
{
  return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

size_t st_chunk_cut(const void *data, size_t length)
{
  const uint8_t *s = data;
  size_t most = length < ST_CHUNK_MAX ? length : ST_CHUNK_MAX;
  size_t middle = most < ST_CHUNK_AVERAGE ? most : ST_CHUNK_AVERAGE;
  size_t i = ST_CHUNK_MIN;
  uint64_t hash = 0;
  /* Zeros alone, as of a hole, never hash to a cut: no need to look. */
  if (most <= ST_CHUNK_MIN || is_zero(s, most))
    return most;
  for (; i < middle; i++) {
    hash = (hash << 1) + gear[s[i]];
    if (!(hash & STRICT))
      return i + 1;
  }
  for (; i < most; i++) {
    hash = (hash << 1) + gear[s[i]];
    if (!(hash & LAX))
      return i + 1;
  }
  return most;
}
