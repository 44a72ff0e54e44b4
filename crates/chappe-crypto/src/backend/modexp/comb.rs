//! Powers of the generator of Telegram's group that are known beforehand.
//!
//! All of Telegram's servers use one prime, and 3 generates its group. With the exponent in five rows of 410 bits, one squaring and
//! one product do for a column of five bits what takes five squarings where only the generator is known (a comb: Lim and
//! Lee, CRYPTO '94).
//!
//! ```text
//! table[w]:  the product of 3^(2^(410 row)) over the bits of w
//! power:     for each column, from the uppermost: one squaring, one product with the entry selected by reading the whole table
//! ```

use zeroize::Zeroizing;

use super::rows::Rows;
use super::scalar::{Modulus, select};
use super::{Limbs, WINDOW, WINDOWS, exponent_bit};
use crate::dh::KNOWN_PRIME;

/// The generator of the powers.
const GENERATOR: u8 = 3;

/// `3^(2^(410 row))` for the rows from 1 to 4, modulo the prime.
#[rustfmt::skip]
const ROWS: [Limbs; WINDOW - 1] = [
    [
        0xdafc_b806_da63_4328, 0x28e2_3cf3_76ad_e127, 0xbb21_c005_d13e_9bc8, 0xa158_4162_c974_95db,
        0xb396_3536_ce4a_8ded, 0x851f_0ed9_c186_f2a2, 0x1439_4608_9c9d_bbe3, 0x1550_71a9_dc50_5b40,
        0x79a9_bc94_9356_80e5, 0x12b3_bc15_559a_e4d6, 0xb28d_3710_e46f_979b, 0xd8c5_2b55_a708_b887,
        0x698f_d764_e20b_09c7, 0x7f48_a2f3_458c_3169, 0x2e6a_dfec_6e68_6daf, 0x7196_13b6_7efa_099d,
        0x89a8_ecf3_52f2_4b07, 0x8769_90b8_6c17_4b31, 0x11c2_5628_9935_51cb, 0x272e_3285_9711_009d,
        0xaee1_0ef9_dc33_3ece, 0x1bb3_3cf8_4a8b_4a0a, 0x5d77_3b99_92b9_1e14, 0xca5a_7526_9aa7_0140,
        0x9605_4072_92d2_2b68, 0x6c65_c5ae_2f77_215a, 0xfa13_b93b_9303_fa4b, 0xd1da_533a_2197_d570,
        0xefe1_96cd_c87a_607b, 0x0905_142e_53dc_c2aa, 0x0740_300e_0fec_4369, 0x965b_150d_ca4d_cfaa,
    ],
    [
        0xb533_93dd_5877_9e80, 0x8a74_3bdb_cb96_6381, 0xbbb0_e684_41bf_9742, 0xa50d_0a66_8010_4caa,
        0x71f0_0f51_ca1b_08cd, 0x473d_8b76_dd2c_3900, 0x97cc_0ac5_c0e8_ce62, 0x1134_13aa_9628_7405,
        0xa684_f361_5095_67fd, 0xdd06_ff84_8c61_11d7, 0x0c8c_efed_b3aa_497e, 0x2a47_6d9a_6fa9_4500,
        0x940e_47a0_ce10_3e9a, 0xf5c1_3ce5_637b_ceb5, 0x6e52_cd46_f683_f803, 0x7fa7_b629_11a0_dc17,
        0xdb58_b147_630a_6249, 0xa5ec_d6dd_eece_91a4, 0x346b_b787_e365_b558, 0x42e0_2fad_688f_b820,
        0x725c_f480_8ccd_d6b5, 0xd728_e1b9_b85b_9804, 0xbf61_e6dd_23d6_7a4b, 0xaab8_902e_dfe4_c1d9,
        0x1c00_1de9_469c_413d, 0xdbba_4bd6_9269_a5fd, 0xa5f8_3375_7567_62b6, 0xe75a_2818_6f8a_e4c8,
        0x474f_f402_695f_e6cf, 0x6940_26f7_e097_d1c1, 0xf3be_b168_f929_d98c, 0x6193_889b_4e60_720e,
    ],
    [
        0xc538_88b4_eb5b_1500, 0x213f_662b_be7e_c2ff, 0x40ff_0784_246e_da4f, 0x9f80_ca35_c00d_f77c,
        0x703c_ffc6_4386_e9f0, 0x283b_f67e_73d0_e373, 0x94f3_8faa_e8a8_5bb6, 0xb315_a227_cbbf_f314,
        0x889d_bb71_690d_4f33, 0x52c4_fee0_5428_989f, 0x972f_c356_d9a8_0da7, 0x8249_22e4_8c08_ee25,
        0x1f71_2afe_4274_c231, 0xfb42_f4ca_6c92_00f2, 0x1b44_035c_d071_1966, 0x7a77_3156_2a1d_6b56,
        0x2afe_8c92_5eae_5726, 0xd8f0_4c2c_d61b_63ea, 0xfdfa_995e_db29_7c39, 0x6a06_f667_e007_b947,
        0x5eab_d55f_f74e_dd89, 0x0ddc_30fa_7d8e_215f, 0x7bda_14e3_4dc8_4508, 0x757d_32de_2af1_137c,
        0x45b2_c470_7fba_2bd2, 0xea0b_6c1d_3d24_828c, 0x1a15_4d68_5ebf_a8c7, 0x02a7_36a1_d9fb_3d58,
        0xbff0_a49f_eff4_0c46, 0x870c_201e_211e_7d22, 0x80f9_da14_3933_78ee, 0xa147_535c_adf0_3535,
    ],
    [
        0x0a24_c2a0_bd66_b820, 0xbb6a_3895_d025_8ee7, 0x0f6c_4023_85bf_f516, 0xe373_18ed_cabb_5ba4,
        0x0326_6ccd_0699_acf4, 0x5ab0_3342_a7c7_c857, 0x0b36_6561_0982_0d52, 0xe09b_fa1a_c54b_b3f4,
        0x8ac6_bf48_413a_3d64, 0x0116_1932_d6b7_f4b9, 0x5038_75a0_802c_7c38, 0xd824_1af4_0e34_4006,
        0x6152_489a_0b72_9050, 0xa101_f390_19bb_0f07, 0xf03c_d5eb_bf4e_cd3d, 0x6d22_78a5_bd67_c182,
        0xa0fb_22dd_c387_a74e, 0xf39d_7666_14cc_f8a2, 0xb682_d8b8_630e_bf9b, 0x4ab1_50e3_0d6e_00bd,
        0x65f2_9d28_7ddd_e926, 0x2bdd_2904_a454_a150, 0x347b_d97c_13c5_0d38, 0x9cc7_501c_35c4_a7bf,
        0x8d11_5caa_b36a_401c, 0x7328_0b2a_2e54_5fe3, 0x3fd0_feac_fb60_1037, 0x576e_9c54_6811_243a,
        0xaf59_5a89_dcd2_dfd4, 0x3bab_ece7_0174_a0e4, 0xcf1b_506b_666f_b5a7, 0xbb5d_0e5d_88de_88f2,
    ],
];

/// Returns whether the powers are those of this generator for this modulus. Both are public.
pub(super) fn knows(modulus: &Limbs, generator: u8) -> bool {
    generator == GENERATOR && *modulus == super::limbs_from_bytes(&KNOWN_PRIME)
}

impl<R: Rows> Modulus<R> {
    /// `3^exponent` modulo the prime, which must be the modulus.
    pub(super) fn pow_known(&self, exponent: &Limbs) -> Limbs {
        let table = self.comb();
        let mut power = self.one();
        for column in (0..WINDOWS).rev() {
            let bits = (0..WINDOW).map(|row| exponent_bit(exponent, row * WINDOWS + column) << row);
            power = self.square(&power);
            power = self.montgomery_mul(&power, &select(&table, bits.sum()));
        }
        self.leave(&power)
    }

    /// The table, in Montgomery form.
    fn comb(&self) -> Zeroizing<[Limbs; 1 << WINDOW]> {
        let mut table = Zeroizing::new([self.one(); 1 << WINDOW]);
        table[1] = self.times(&self.one(), GENERATOR);
        for (row, known) in (1..).zip(&ROWS) {
            let first = 1 << row;
            table[first] = self.enter(known);
            for i in 1..first {
                table[first + i] = self.montgomery_mul(&table[i], &table[first]);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bytes, Modulus, bytes_from_limbs};
    use super::*;

    #[test]
    fn the_known_powers_are_what_they_are_said_to_be() {
        let modulus = Modulus::portable(&KNOWN_PRIME);
        let mut base: Bytes = [0; 256];
        base[255] = GENERATOR;
        for (row, known) in (1..).zip(&ROWS) {
            let mut exponent: Bytes = [0; 256];
            let bit = row * WINDOWS;
            exponent[255 - bit / 8] = 1 << (bit % 8);
            assert_eq!(modulus.pow(&base, &exponent), bytes_from_limbs(known), "row {row}");
        }
    }

    #[test]
    fn powers_of_the_known_generator_agree_with_those_of_any_base() {
        for modulus in [Modulus::portable(&KNOWN_PRIME), Modulus::scalar(&KNOWN_PRIME)] {
            for byte in [0, 1, 0x5a, 0xff] {
                for generator in 2..8 {
                    let mut base: Bytes = [0; 256];
                    base[255] = generator;
                    let exponent: Bytes =
                        core::array::from_fn(|i| byte ^ (i as u8).wrapping_mul(byte & 0x9d));
                    let expected = modulus.pow(&base, &exponent);
                    assert_eq!(modulus.pow_generator(generator, &exponent), expected, "{generator}, {byte}");
                    assert_eq!(modulus.pow_pair(generator, &base, &exponent), [expected, expected]);
                }
            }
        }
    }
}
