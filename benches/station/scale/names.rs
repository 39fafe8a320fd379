//! Chinese names, places, matters and case numbers, drawn from a seed: the same in every run.

/// A small generator of numbers (SplitMix64), so that a catalogue can be made anew to the last byte.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[usize::try_from(self.below(from.len() as u64)).expect("an index")]
    }
}

const SURNAMES: [&str; 48] = [
    "王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡", "郭", "何",
    "高", "林", "罗", "郑", "梁", "谢", "宋", "唐", "许", "韩", "冯", "邓", "曹", "彭", "曾", "肖", "田",
    "董", "袁", "潘", "蒋", "蔡", "余", "杜", "叶", "程", "苏", "魏", "吕", "欧阳", "司马",
];
const GIVEN: [&str; 60] = [
    "伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超",
    "秀", "霞", "平", "刚", "桂", "英", "华", "建", "国", "文", "辉", "玉", "兰", "志", "红", "春", "梅",
    "海", "燕", "波", "云", "峰", "飞", "鹏", "浩", "宇", "佳", "欣", "怡", "子", "轩", "俊", "凯", "思",
    "雨", "晨", "阳", "龙", "林", "松", "柏", "金", "德",
];
const TOWNS: [&str; 8] =
    ["营田镇", "河市镇", "凤凰乡", "天问街道", "兴隆街道", "推山咀社区", "琴棋乡", "屈原农场"];
const VILLAGES: [&str; 20] = [
    "三洲村",
    "古罗城村",
    "荷花村",
    "八港村",
    "黄金村",
    "青港村",
    "义南村",
    "槐花村",
    "余家坪村",
    "营田社区",
    "河泊潭村",
    "平安村",
    "新洲村",
    "大湾杨村",
    "宝塔村",
    "老闸口村",
    "磊石村",
    "汨江村",
    "金星村",
    "车坪村",
];
const TRADES: [&str; 14] = [
    "建材",
    "砂石",
    "农业开发",
    "房地产开发",
    "矿业",
    "置业",
    "生态养殖",
    "物流",
    "新能源",
    "水泥制品",
    "园林",
    "食品",
    "机械制造",
    "环保科技",
];
const BRANDS: [&str; 24] = [
    "鑫源",
    "恒信",
    "宏达",
    "楚天",
    "湘北",
    "汇丰",
    "金盛",
    "华泰",
    "中联",
    "永兴",
    "顺达",
    "天成",
    "兴业",
    "洞庭",
    "南湖",
    "屈子",
    "龙腾",
    "瑞丰",
    "正大",
    "长青",
    "盛世",
    "远航",
    "汨罗江",
    "君山",
];
const MATTERS: [&str; 16] = [
    "未经批准非法占用耕地建房",
    "擅自改变土地用途",
    "无证开采砂石",
    "越界开采页岩矿",
    "破坏耕作层",
    "未取得建设工程规划许可证进行建设",
    "非法占用林地堆放弃土",
    "超过批准期限不恢复临时用地原状",
    "非法转让土地使用权",
    "占用永久基本农田挖塘养鱼",
    "拒不履行土地复垦义务",
    "擅自移动测量标志",
    "违法占地修建厂房",
    "未按规划条件进行建设",
    "非法买卖土地",
    "毁坏界桩",
];

/// A person's name, two to four characters.
pub fn person(dice: &mut Dice) -> String {
    let (surname, first) = (dice.pick(&SURNAMES), dice.pick(&GIVEN));
    match dice.below(5) {
        0 => format!("{surname}{first}"),
        _ => format!("{surname}{first}{}", dice.pick(&GIVEN)),
    }
}

/// A party: mostly a person, else a company.
pub fn party(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => {
            let (brand, trade) = (dice.pick(&BRANDS), dice.pick(&TRADES));
            format!("岳阳{brand}{trade}有限公司")
        }
        _ => person(dice),
    }
}

/// An address down to the group of a village.
pub fn address(dice: &mut Dice) -> String {
    let (town, village) = (dice.pick(&TOWNS), dice.pick(&VILLAGES));
    format!("岳阳市屈原管理区{town}{village}{}组", dice.below(18) + 1)
}

/// What a party is held to have done.
pub fn matter(dice: &mut Dice) -> &'static str {
    dice.pick(&MATTERS)
}

/// A unit's name.
pub fn unit(i: u64) -> String {
    let at = |list: &[&'static str], i: u64| list[usize::try_from(i % list.len() as u64).expect("an index")];
    match i {
        0 => "岳阳市屈原管理区自然资源局".into(),
        i => format!("{}第{}自然资源执法中队", at(&TOWNS, i), i / TOWNS.len() as u64 + 1),
    }
}

/// The kind of a case, the character of its number, and how often of ten it is that.
pub fn kind(dice: &mut Dice) -> (&'static str, &'static str) {
    match dice.below(10) {
        0..7 => ("penalty", "罚"),
        7..9 => ("licence", "许"),
        _ => ("compulsion", "强"),
    }
}
